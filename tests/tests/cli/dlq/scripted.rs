//! Against an SQS that does what a script says: what ministack does not do when it is wanted.

use std::collections::VecDeque;
use std::io::Read as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use secondary53_tests::stack::wait::{GENEROUS, until};
use tokio::sync::{Notify, Semaphore};

use super::*;

/// What is there, and what is answered.
#[derive(Debug)]
struct Script {
    endpoint: String,
    /// What each receive gives; nothing once these are gone.
    receives: Mutex<VecDeque<Vec<Value>>>,
    /// To be received, and received by somebody: before the command, and after it.
    depths: Mutex<VecDeque<(usize, usize)>>,
    deletes: bool,
    /// Sends that succeed.
    sends: Semaphore,
    /// The action at which it waits, each time, until somebody lets it go on.
    waits_at: &'static str,
    is_reached: Notify,
    goes_on: Semaphore,
}

/// Ids in the order in which they are given out: `example.com.:8`, zone and serial.
fn letters(zones: &[(&str, u32)]) -> Vec<Value> {
    let text = |value: String| json!({"DataType": "String", "StringValue": value});
    let letter = |(zone, serial): &(&str, u32)| {
        json!({
            "MessageId": format!("{zone}:{serial}"), "ReceiptHandle": format!("receipt-{zone}:{serial}"), "Body": "body",
            "Attributes": {"MessageGroupId": zone, "SentTimestamp": "1700000000000"},
            "MessageAttributes":
                {"zone": text((*zone).to_owned()), "serial": text(serial.to_string()), "meta": text("{}".to_owned())},
        })
    };
    zones.iter().map(letter).collect()
}

impl Script {
    fn new(receives: &[Vec<Value>], depths: &[(usize, usize)]) -> Self {
        Self {
            endpoint: String::new(),
            receives: Mutex::new(receives.iter().cloned().collect()),
            depths: Mutex::new(depths.iter().copied().collect()),
            deletes: true,
            sends: Semaphore::new(1_000),
            waits_at: "",
            is_reached: Notify::new(),
            goes_on: Semaphore::new(0),
        }
    }

    async fn start(mut self) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.endpoint = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(self);
        let app = Router::new().fallback(answer).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, app).await });
        script
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = secondary53(&[&["dlq"], arguments].concat());
        command.env("AWS_ENDPOINT_URL_SQS", &self.endpoint);
        command
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(&finished(self.command(arguments), Vec::new()).await)
    }

    /// Runs it, and tells it to stop at the action that this waits at.
    async fn interrupt(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut out, said) = (child.stderr.take().unwrap(), Arc::new(Mutex::new(String::new())));
        let there = Arc::clone(&said);
        let reads = std::thread::spawn(move || {
            let mut octets = [0; 4_096];
            while let Ok(count @ 1..) = out.read(&mut octets) {
                there.lock().unwrap().push_str(&String::from_utf8_lossy(&octets[..count]));
            }
        });
        tokio::time::timeout(GENEROUS, self.is_reached.notified()).await.unwrap();
        kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
        let heard = || said.lock().unwrap().contains("stopping once what is under way is done");
        until(GENEROUS, "it heard", async || Ok(heard().then_some(()))).await.unwrap();
        self.goes_on.add_permits(1_000);
        let output = tokio::task::spawn_blocking(move || {
            let output = child.wait_with_output().unwrap();
            reads.join().unwrap();
            output
        });
        let (status, out, _) = told(&output.await.unwrap());
        let said = said.lock().unwrap().clone();
        (status, out, said)
    }
}

async fn answer(State(script): State<Arc<Script>>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let action = headers["x-amz-target"].to_str().unwrap().trim_start_matches("AmazonSQS.");
    let body: Value = serde_json::from_str(&body).unwrap();
    if action == script.waits_at {
        script.is_reached.notify_one();
        script.goes_on.acquire().await.unwrap().forget();
    }
    let ids = || body["Entries"].as_array().unwrap().iter().map(|entry| entry["Id"].clone());
    let answer = match action {
        "GetQueueUrl" => {
            json!({"QueueUrl": format!("{}/000000000000/{}", script.endpoint, body["QueueName"].as_str().unwrap())})
        }
        "GetQueueAttributes" if body["AttributeNames"][0] == "RedrivePolicy" => {
            let policy = json!({"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:secondary53-dlq.fifo"});
            json!({"Attributes": {"RedrivePolicy": policy.to_string()}})
        }
        "GetQueueAttributes" => {
            let mut depths = script.depths.lock().unwrap();
            let (visible, hidden) = if depths.len() > 1 { depths.pop_front().unwrap() } else { depths[0] };
            json!({"Attributes": {"ApproximateNumberOfMessages": visible.to_string(),
                "ApproximateNumberOfMessagesNotVisible": hidden.to_string()}})
        }
        "ReceiveMessage" => json!({"Messages": script.receives.lock().unwrap().pop_front().unwrap_or_default()}),
        "SendMessage" => match script.sends.try_acquire() {
            Ok(permit) => {
                permit.forget();
                json!({"MessageId": "m"})
            }
            Err(_) => {
                let refused = json!({"__type": "com.amazonaws.sqs#InvalidMessageContents", "message": "No such luck"});
                return (StatusCode::BAD_REQUEST, refused.to_string());
            }
        },
        "DeleteMessageBatch" if script.deletes => {
            json!({"Successful": ids().map(|id| json!({"Id": id})).collect::<Vec<_>>(), "Failed": []})
        }
        "DeleteMessageBatch" => {
            let failed = |id| json!({"Id": id, "Code": "ReceiptHandleIsInvalid", "SenderFault": true});
            json!({"Successful": [], "Failed": ids().map(failed).collect::<Vec<_>>()})
        }
        "ChangeMessageVisibilityBatch" => json!({"Successful": [], "Failed": []}),
        "DeleteMessage" => json!({}),
        other => {
            let unknown = json!({"__type": "com.amazonaws.sqs#UnsupportedOperation", "message": other});
            return (StatusCode::BAD_REQUEST, unknown.to_string());
        }
    };
    (StatusCode::OK, answer.to_string())
}

fn outcomes(json: &str) -> Vec<(String, String)> {
    let all: Vec<Value> = serde_json::from_str(json).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.iter().map(|told| (text(&told["id"]), text(&told["outcome"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_zone_that_may_be_cut_only_one_that_is_alone_goes() {
    let mut ten: Vec<(&str, u32)> = (1..=5).map(|serial| ("a.example.", serial)).collect();
    ten.extend((1..=4).map(|serial| ("b.example.", serial)));
    ten.push(("c.example.", 1));
    let script = Script::new(&[letters(&ten)], &[(14, 0), (0, 13)]).start().await;
    let (status, out, error) = script.run(&["replay", "--all", "--json"]).await;
    assert_eq!(status, 2, "{error}");
    let sent: Vec<_> = outcomes(&out).into_iter().filter(|(_, outcome)| outcome == "sent").collect();
    assert_eq!(sent, [("c.example.:1".to_owned(), "sent".to_owned())]);
    assert!(out.contains("dlq drop --superseded --zone b.example."), "{out}");
    assert!(error.contains("4 more"), "{error}");

    // Fewer than ten are all that there is.
    let nine = letters(&ten[1..]);
    let script = Script::new(&[nine], &[(9, 0)]).start().await;
    let (status, out, _) = script.run(&["replay", "--all", "--json"]).await;
    assert_eq!((status, outcomes(&out).iter().filter(|(_, outcome)| outcome == "sent").count()), (2, 3), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_done_is_said_in_the_status() {
    // Somebody else looks at three.
    let one = || letters(&[("a.example.", 1)]);
    for arguments in
        [&["replay", "--all"][..], &["drop", "--all", "--yes"], &["drop", "--all", "--yes", "--superseded"]]
    {
        // The only one of its zone is not superseded.
        let left = usize::from(arguments.contains(&"--superseded"));
        let script = Script::new(&[one()], &[(1, 3), (left, 3)]).start().await;
        let (status, _, error) = script.run(arguments).await;
        assert!(status == 2 && error.contains("3 more"), "{arguments:?}: {status}: {error}");
    }
    // What is gone by then is nobody's any more.
    let script = Script::new(&[one()], &[(1, 3), (0, 0)]).start().await;
    assert_eq!(script.run(&["replay", "--all"]).await.0, 0);
    // SQS does not delete it.
    for arguments in [&["drop", "--yes", "a"][..], &["drop", "--all", "--yes"]] {
        let script = Script { deletes: false, ..Script::new(&[one()], &[(1, 0)]) }.start().await;
        let (status, _, error) = script.run(arguments).await;
        assert!(status == 2 && error.contains("was not deleted: ReceiptHandleIsInvalid"), "{status}: {error}");
        assert!(error.contains("0 messages deleted, 1 still there"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_does_not_end_it() {
    let other = letters(&[("z.example.", 1)]);
    let mut receives = vec![other; 17];
    receives.push(letters(&[("a.example.", 1)]));
    let script = Script::new(&receives, &[(2, 0), (0, 1)]).start().await;
    let (status, _, error) = script.run(&["drop", "--zone", "a.example", "--yes"]).await;
    assert_eq!((status, &error[..]), (0, "1 message deleted.\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_does_not_hide_what_was_sent() {
    for arguments in [&["replay", "--all", "--older", "--json"][..], &["replay", "--older", "--json", "a", "b"]] {
        let two = letters(&[("a.example.", 1), ("b.example.", 1)]);
        let script = Script { sends: Semaphore::new(1), ..Script::new(&[two], &[(2, 0)]) }.start().await;
        let (status, out, error) = script.run(arguments).await;
        assert_eq!(status, 1, "{error}");
        // Of two zones neither goes first.
        assert_eq!(outcomes(&out).iter().map(|(_, outcome)| &outcome[..]).collect::<Vec<_>>(), ["sent"]);
        assert!(error.contains("No such luck") && error.contains("1 message sent before that"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_what_goes_by_ids() {
    let two = letters(&[("a.example.", 1), ("b.example.", 1)]);
    let script = |waits_at| Script { waits_at, ..Script::new(std::slice::from_ref(&two), &[(2, 0)]) };
    let sending = script("SendMessage").start().await;
    let (status, out, error) = sending.interrupt(&["replay", "--older", "--json", "a", "b"]).await;
    assert_eq!(status, 130, "{error}");
    assert_eq!(outcomes(&out), [("a.example.:1".to_owned(), "sent".to_owned())]);
    // While it looks for them.
    for arguments in
        [&["replay", "--older", "a"][..], &["drop", "--yes", "a"], &["show", "a"], &["approve", "--yes", "a"]]
    {
        let looking = script("ReceiveMessage").start().await;
        let (status, _, error) = looking.interrupt(arguments).await;
        assert_eq!(status, 130, "{arguments:?}: {error}");
    }
    let deleting = script("DeleteMessageBatch").start().await;
    assert_eq!(deleting.interrupt(&["drop", "--yes", "a", "b"]).await.0, 130);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_what_goes_by_all() {
    const ALL: usize = 40;
    let receives: Vec<_> = (0..ALL).map(|number| letters(&[(&format!("z{number}.example."), 1)])).collect();
    for (waits_at, arguments) in [
        ("SendMessage", &["replay", "--all", "--json"][..]),
        ("DeleteMessageBatch", &["drop", "--all", "--yes", "--json"]),
    ] {
        let script = Script { waits_at, ..Script::new(&receives, &[(ALL, 0)]) }.start().await;
        let (status, out, error) = script.interrupt(arguments).await;
        let done = serde_json::from_str::<Vec<Value>>(&out).unwrap().len();
        // What was under way, side by side, is done.
        assert!(status == 130 && 0 < done && done < ALL, "{arguments:?}: {status}: {done}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_the_same_name_is_another_accounts() {
    let script = Script::new(&[letters(&[("a.example.", 1)])], &[(1, 0)]).start().await;
    let theirs = format!("{}/111111111111/secondary53-dlq.fifo", script.endpoint);
    let (status, _, error) = script.run(&["replay", "--all", "--dlq-url", &theirs]).await;
    assert!(status == 1 && error.contains("is not the dead-letter queue of"), "{status}: {error}");
    // A URL of the environment is as good as none beside one that was typed.
    let mut command = script.command(&["replay", "--all", "--dlq-url", &theirs]);
    command.env("SECONDARY53_QUEUE_URL", format!("{}/000000000000/secondary53.fifo", script.endpoint));
    let (status, _, error) = told(&finished(command, Vec::new()).await);
    assert!(status == 1 && error.contains("is not the dead-letter queue of"), "{status}: {error}");
}
