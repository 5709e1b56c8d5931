//! Which messages: by their ids, or as much of these as tells them apart.

use std::cell::RefCell;

use super::Desk;
use super::letter::Letter;
use super::queue::{Depth, Received};
use crate::terminal::counted;
use crate::{Failed, interrupt};

/// What was asked for, and all that was seen, in the order in which SQS gave it.
pub struct Found {
    /// Without their bodies, but for those that were asked for.
    pub all: Vec<Letter>,
    /// Where the wanted ones are among them.
    pub wanted: Vec<usize>,
}

impl Desk {
    /// Finds messages by what their ids begin with, and works on them while nobody else can receive them. All that is not
    /// deleted by then is visible again afterwards. `None` where somebody stopped it before anything was done.
    pub async fn with<T>(
        &self,
        ids: &[String],
        work: impl AsyncFnOnce(Found) -> Result<T, Failed>,
    ) -> Result<Option<T>, Failed> {
        let depth = self.dead.depth().await?;
        let bar = self.terminal.bar(u64::try_from(depth.visible).ok(), "looking for it in the dead-letter queue");
        let all = RefCell::new(Vec::new());
        let is_wanted = |letter: &Letter| ids.iter().any(|id| letter.id.starts_with(id.as_str()));
        let held = self.dead.hold(&bar, async |Received { letters, .. }| {
            let ids = letters.iter().map(|letter| letter.id.clone()).collect();
            for mut letter in letters {
                if !is_wanted(&letter) {
                    letter.body = String::new();
                }
                all.borrow_mut().push(letter);
            }
            Ok(ids)
        });
        let held = held.await?;
        bar.finish_and_clear();
        let all = all.into_inner();
        let done = match choose(&all, ids, depth) {
            _ if interrupt::is_told() => Ok(None),
            // Somebody may be asked in between, and take a while.
            Ok(wanted) => tokio::select! {
                done = work(Found { all, wanted }) => done.map(Some),
                () = self.dead.keep(&held) => Err(Failed("stopped".to_owned())),
            },
            Err(error) => Err(error),
        };
        self.dead.release(held).await;
        done
    }
}

fn choose(all: &[Letter], ids: &[String], depth: Depth) -> Result<Vec<usize>, Failed> {
    let mut wanted = Vec::new();
    for id in ids {
        let found: Vec<usize> = (0..all.len()).filter(|index| all[*index].id.starts_with(id.as_str())).collect();
        match found.as_slice() {
            [] => {
                let unseen = depth.total().saturating_sub(all.len());
                let behind = if unseen == 0 {
                    String::new()
                } else {
                    format!(
                        "; {unseen} more that SQS does not give out now, behind others of their zone or in somebody's hands"
                    )
                };
                let there = counted(all.len(), "message");
                return Err(Failed(format!(
                    "no message has an id that begins with {id:?}, of {there}{behind}: see dlq list"
                )));
            }
            [one] if wanted.contains(one) => {}
            [one] => wanted.push(*one),
            several => {
                let ids: Vec<_> = several.iter().map(|index| all[*index].id.as_str()).collect();
                return Err(Failed(format!("{id:?} is the beginning of more than one id: {}", ids.join(", "))));
            }
        }
    }
    // In the order of the queue, whatever the order on the command line.
    wanted.sort_unstable();
    Ok(wanted)
}
