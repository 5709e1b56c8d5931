//! Snapshots that are not in their message: got from S3, and from nowhere else.

use std::net::SocketAddr;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use secondary53_aws::Objects;
use secondary53_lambda::overflow::Overflow;
use secondary53_lambda::quarantine::Quarantine;
use secondary53_tests::stack::ministack::{Ministack, Quarantined, QueuePair};
use secondary53_tests::stack::wait::{GENEROUS, until};
use secondary53_tests::stack::{StackError, pass_over_missing, programs};
use secondary53_tests::zones::{incompressible, zone_of};
use secondary53_zone::message::{Approval, Body, Message, Pointer, Reason};
use secondary53_zone::zone::Zone;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::{World, message, record, zone};

const BUCKET: &str = "overflow-bucket";
/// Records of a zone that does not fit a message.
const MANY: usize = 1_200;
/// Longer than a test takes.
const VISIBILITY: Duration = Duration::from_mins(5);

#[tokio::test]
async fn what_a_message_points_to_is_applied() -> Result<(), StackError> {
    pass_over_missing(
        async {
            let aws = Aws::start().await?;
            let world = aws.world().await;
            let (moved, body) = moved(&large());
            assert!(body.len() > secondary53_zone::message::MAX_OCTETS);
            aws.put(BUCKET, &moved, &body).await?;
            assert_eq!(world.deliver(vec![record("1", &moved)]).await, Vec::<String>::new());
            // And the address of its name server.
            assert_eq!((world.serial(), world.hosted().len()), (2026, MANY + 1));
            assert_eq!(aws.depth().await?, 0);
            Ok(())
        }
        .await,
    )
}

#[tokio::test]
async fn what_came_before_a_rollback_that_is_pointed_to_is_passed_over() -> Result<(), StackError> {
    pass_over_missing(
        async {
            let aws = Aws::start().await?;
            let world = aws.world().await;
            world.sync(&zone(3000, "w A 192.0.2.1"), Reason::Initial).await;
            let mut back = message(&large(), Reason::Resend);
            back.meta.approved = vec![Approval::Rollback, Approval::MassDeletion];
            let (back, _, body) = back.moved_to(BUCKET).unwrap();
            aws.put(BUCKET, &back, body).await?;
            let before = message(&zone(3001, "w A 192.0.2.1\nbefore A 192.0.2.1"), Reason::Notify);
            let both = vec![record("1", &before), record("2", &back)];
            assert_eq!(world.deliver(both).await, Vec::<String>::new());
            assert_eq!(world.serial(), 2026);
            let calls = world.server.calls();
            let mut changes = calls.iter().flat_map(|call| &call.changes);
            assert!(changes.all(|change| !change.name.starts_with("before")));
            Ok(())
        }
        .await,
    )
}

#[tokio::test]
async fn while_s3_cannot_be_reached_the_message_comes_again() -> Result<(), StackError> {
    pass_over_missing(
        async {
            let mut aws = Aws::start().await?;
            let (address, directory) = (programs::free_address()?, TempDir::new().unwrap());
            // Bound, so that nobody else listens there meanwhile.
            let nobody = TcpSocket::new_v4().unwrap();
            nobody.bind(address).unwrap();
            let world = aws.world_with(Some(address)).await;
            let (moved, body) = moved(&large());
            assert_eq!(world.deliver(vec![record("1", &moved)]).await, ["1"]);
            drop(nobody);
            assert_eq!((world.serial(), aws.depth().await?), (1, 0));
            aws.ministack = Ministack::start(directory.path(), address).await?;
            aws.ministack.bucket(BUCKET).await?;
            aws.put(BUCKET, &moved, &body).await?;
            // A machine that is busy may not get it in the time of one invocation: it comes again.
            until(GENEROUS, "the message is done", async || {
                let left = world.deliver(vec![record("1", &moved)]).await;
                Ok(left.is_empty().then_some(()))
            })
            .await?;
            assert_eq!(world.serial(), 2026);
            Ok(())
        }
        .await,
    )
}

#[tokio::test]
async fn an_object_that_is_gone_is_told_with_what_to_do() -> Result<(), StackError> {
    pass_over_missing(
        async {
            let aws = Aws::start().await?;
            let world = aws.world().await;
            let (moved, _) = moved(&large());
            // In the same line an older one that is whole: it is what can be done.
            let older = message(&zone_of(&incompressible(2025, 3).unwrap()).unwrap(), Reason::Notify);
            let records = vec![record("1", &older), record("2", &moved)];
            assert_eq!(world.deliver(records).await, Vec::<String>::new());
            assert_eq!((world.serial(), world.hosted().len()), (2025, 4));

            let dead = aws.ministack.take(&aws.queues.dead_letter).await?;
            let note = Quarantined::of(&dead).unwrap();
            assert_eq!(note.outcome, "no_snapshot", "{note}");
            assert!(note.reason.contains("(NoSuchKey): the bucket's lifecycle rule deletes"), "{note}");
            assert!(
                note.reason.contains(&moved.digest.to_string())
                    && note.reason.ends_with("secondary53-relay resend example.com."),
                "{note}"
            );
            // As it came: replayed once the object is there again, it does what it was sent for.
            assert_eq!(dead.body(), Some(&*moved.body.as_text()));
            let kept = dead.message_attributes().unwrap();
            for attribute in moved.attributes() {
                let value = &kept[attribute.name];
                assert_eq!(
                    (value.data_type(), value.string_value()),
                    (attribute.data_type, Some(attribute.value.as_str()))
                );
            }
            assert_eq!(kept["ExtendedPayloadSize"].data_type(), "Number");
            Ok(())
        }
        .await,
    )
}

#[tokio::test]
async fn a_forged_pointer_makes_it_read_nowhere_else() -> Result<(), StackError> {
    pass_over_missing(
        async {
            let aws = Aws::start().await?;
            let world = aws.world().await;
            aws.ministack.bucket("elsewhere").await?;
            let (moved, body) = moved(&large());
            aws.put("elsewhere", &moved, &body).await?;
            aws.ministack.put_object(BUCKET, "secrets/1", body.as_bytes()).await?;
            let to = |bucket: &str, key: &str| {
                let pointer = Pointer { bucket: bucket.to_owned(), key: key.to_owned() };
                Message { body: Body::Pointer { pointer, octets: body.len() }, ..moved.clone() }
            };
            let key = format!("snapshots/{}", moved.digest);
            for (bucket, key) in
                [("elsewhere", key.as_str()), (BUCKET, "secrets/1"), (BUCKET, "snapshots/../secrets/1")]
            {
                let forged = to(bucket, key);
                assert_eq!(world.deliver(vec![record(key, &forged)]).await, Vec::<String>::new());
                let note = Quarantined::of(&aws.ministack.take(&aws.queues.dead_letter).await?).unwrap();
                assert_eq!(note.outcome, "no_snapshot", "{note}");
                assert!(
                    note.reason.contains("which this worker does not read: its OVERFLOW_BUCKET is \"overflow-bucket\""),
                    "{note}"
                );
            }
            assert_eq!(world.serial(), 1);
            Ok(())
        }
        .await,
    )
}

#[tokio::test]
async fn what_is_not_the_snapshot_of_the_message_is_put_aside() -> Result<(), StackError> {
    pass_over_missing(
        async {
            let aws = Aws::start().await?;
            let mut world = aws.world().await;
            let (moved, body) = moved(&large());
            let other = message(&zone_of(&incompressible(2027, 3).unwrap()).unwrap(), Reason::Notify);
            for (bad, told) in [
                (
                    other.body.as_text().as_bytes(),
                    "the message's attribute \"serial\" says 2026, and its snapshot 2027",
                ),
                (b"not base64", "the message's body is not base64"),
                (b"\xff\xfe", "is not base64"),
                (b"", "not a snapshot: it does not begin with S53Z"),
            ] {
                aws.put_octets(BUCKET, &moved, bad).await?;
                let reason = aws.quarantined(&world, &moved).await?;
                assert!(reason.contains(told), "{reason}");
            }
            // Beyond what a snapshot may be here: by what the message says, and by what S3 says, whatever the message does.
            aws.put(BUCKET, &moved, &body).await?;
            world.worker.limits.octets = body.len() - 1;
            let Body::Pointer { pointer, .. } = moved.body.clone() else { panic!("{:?}", moved.body) };
            for octets in [body.len(), 10] {
                let message = Message { body: Body::Pointer { pointer: pointer.clone(), octets }, ..moved.clone() };
                let reason = aws.quarantined(&world, &message).await?;
                assert!(
                    reason.contains(&format!("its snapshot takes more than {} octets", body.len() - 1)),
                    "{reason}"
                );
            }
            assert_eq!(world.serial(), 1);
            Ok(())
        }
        .await,
    )
}

/// S3 and a dead-letter queue.
struct Aws {
    ministack: Ministack,
    queues: QueuePair,
    sqs: aws_sdk_sqs::Client,
    /// For the second ministack, where there is one, the first goes on.
    _first: TempDir,
}

impl Aws {
    async fn start() -> Result<Self, StackError> {
        let directory = TempDir::new().unwrap();
        let ministack = Ministack::start(directory.path(), programs::free_address()?).await?;
        ministack.bucket(BUCKET).await?;
        let queues = ministack.queue_pair("queue", VISIBILITY).await?;
        Ok(Self { sqs: ministack.sqs.clone(), ministack, queues, _first: directory })
    }

    async fn world(&self) -> World {
        self.world_with(None).await
    }

    /// With S3 at another address.
    async fn world_with(&self, s3: Option<SocketAddr>) -> World {
        let mut world = World::start().await;
        let endpoint = s3.map_or_else(|| self.ministack.endpoint.clone(), |address| format!("http://{address}"));
        world.worker.overflow = Overflow::new(objects(&endpoint), vec![BUCKET.to_owned()]);
        world.worker.quarantine = Quarantine::new(self.sqs.clone(), Some(self.queues.dead_letter.clone()));
        world
    }

    /// Where the message says that it is, in this bucket.
    async fn put(&self, bucket: &str, message: &Message, body: &str) -> Result<(), StackError> {
        self.put_octets(bucket, message, body.as_bytes()).await
    }

    async fn put_octets(&self, bucket: &str, message: &Message, body: &[u8]) -> Result<(), StackError> {
        self.ministack.put_object(bucket, &format!("snapshots/{}", message.digest), body).await
    }

    /// Delivers it, and gives the reason for which it was put aside as undecodable.
    async fn quarantined(&self, world: &World, message: &Message) -> Result<String, StackError> {
        // An id of its own, by which the queue tells it from the one before.
        let id = format!("{:032x}", rand::random::<u128>());
        assert_eq!(world.deliver(vec![record(&id, message)]).await, Vec::<String>::new());
        let note = Quarantined::of(&self.ministack.take(&self.queues.dead_letter).await?).unwrap();
        assert_eq!(note.outcome, "undecodable", "{note}");
        Ok(note.reason)
    }

    async fn depth(&self) -> Result<u32, StackError> {
        self.ministack.depth(&self.queues.dead_letter).await
    }
}

pub(crate) fn objects(endpoint: &str) -> Objects {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()));
    Objects::new(&config.build())
}

fn large() -> Zone {
    zone_of(&incompressible(2026, MANY).unwrap()).unwrap()
}

fn moved(zone: &Zone) -> (Message, String) {
    let message = message(zone, Reason::Notify);
    let (moved, _, body) = message.moved_to(BUCKET).unwrap();
    (moved, body.to_owned())
}
