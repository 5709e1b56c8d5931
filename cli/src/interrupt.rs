//! Ctrl-C, and SIGTERM, heard but not obeyed at once: what is under way ends, what would follow is not begun. The second one
//! ends the program where it stands; that loses nothing either.

use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// The status of a shell's command that Ctrl-C ended.
pub const STATUS: u8 = 130;

static TOLD: AtomicBool = AtomicBool::new(false);
static HEARD: Notify = Notify::const_new();

/// Begins to hear.
pub fn listen() -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if TOLD.swap(true, Ordering::Relaxed) {
                exit(STATUS.into());
            }
            HEARD.notify_waiters();
            eprintln!("\nstopping once what is under way is done; again to stop at once");
        }
    });
    Ok(())
}

/// Waits until somebody wants it to end.
pub async fn told() {
    let heard = HEARD.notified();
    if !is_told() {
        heard.await;
    }
}

/// Whether somebody wants it to end.
pub fn is_told() -> bool {
    TOLD.load(Ordering::Relaxed)
}
