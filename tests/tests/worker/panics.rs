//! Messages that the worker panics over: they are put aside, and hold up nobody else.

use aws_sdk_route53::Client;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use secondary53_aws::Https;
use secondary53_lambda::handler;
use secondary53_lambda::queue::Queue;
use secondary53_lambda::route53::Route53;
use secondary53_lambda::turns::Turns;
use secondary53_zone::message::Reason;

use super::dead_letters::{DeadLetters, one, world};
use super::sqs::Sqs;
use super::{UNLIMITED, World, client, held, message, record, zone};

/// An address that the connector cannot bear.
const FATAL: &str = "198.51.100.66";

#[derive(Debug)]
struct Panicking(SharedHttpConnector);

impl HttpConnector for Panicking {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        assert!(!body.contains(FATAL), "it is {FATAL}");
        self.0.call(request)
    }
}

async fn fatal_world() -> (World, DeadLetters) {
    let (mut world, dead) = world().await;
    let inner = Https::new().shared();
    let http = http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Panicking(inner.http_connector(settings, components)))
    });
    let plain = client(&world.server.endpoint());
    let config = plain.config().to_builder().http_client(http).build();
    world.worker.route53 = Route53::with_turns(&Client::from_conf(config), Turns::new(UNLIMITED, handler::clock));
    (world, dead)
}

fn received(id: &str, serial: u32, address: &str, times: u32) -> serde_json::Value {
    let mut record = record(id, &message(&zone(serial, &format!("w A {address}")), Reason::Notify));
    record["attributes"]["ApproximateReceiveCount"] = times.to_string().into();
    record["eventSourceARN"] = "arn:aws:sqs:eu-west-1:123456789012:main.fifo".into();
    record
}

#[tokio::test]
async fn a_panic_is_put_aside_at_the_third_time_and_what_came_with_it_is_done() {
    let (world, dead) = fatal_world().await;
    let good = || received("good", 7, "192.0.2.7", 1);
    assert_eq!(world.deliver(vec![good(), received("fatal", 8, FATAL, 1)]).await, ["good", "fatal"]);
    // What is not the newest was done all the same.
    assert_eq!((world.serial(), dead.take().len()), (7, 0));
    assert_eq!(world.deliver(vec![good(), received("fatal", 8, FATAL, 3)]).await, Vec::<String>::new());
    let note = one(&dead).note;
    assert_eq!((note["outcome"].as_str(), note["message_id"].as_str()), (Some("panicked"), Some("fatal")));
    assert!(note["reason"].as_str().unwrap().contains("it is 198.51.100.66"), "{note}");
    // And the worker goes on.
    assert_eq!(world.deliver(vec![received("next", 9, "192.0.2.9", 1)]).await, Vec::<String>::new());
    assert_eq!((world.serial(), world.hosted()), (9, held(&[("w.example.com.", "A", 300, &["192.0.2.9"])])));
}

/// Without that a crash would cost the queue's visibility time-out, each time.
#[tokio::test]
async fn of_what_came_before_it_is_said_at_once_when_it_comes_again() {
    let sqs = Sqs::start().await;
    let (mut world, _dead) = fatal_world().await;
    world.worker.queue = Queue::new(sqs.client(), None);
    for (times, begins) in [(1, false), (2, true)] {
        let line = vec![received("1", 7 + times, "192.0.2.7", times)];
        assert_eq!(world.deliver(line).await, Vec::<String>::new());
        let asked = sqs.asked();
        let seconds: Vec<u64> =
            asked.iter().flat_map(|(_, entries)| entries.iter().map(|(_, seconds)| *seconds)).collect();
        assert_eq!(seconds.len(), usize::from(begins), "{asked:?}");
        // An invocation of five minutes, and ten seconds.
        assert!(seconds.iter().all(|seconds| (300..=310).contains(seconds)), "{asked:?}");
    }
}
