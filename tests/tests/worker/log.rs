//! What the worker logs.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

thread_local! {
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What was logged on this thread, which is what this test did: a test's runtime has one thread.
///
/// One subscriber for the whole process, for one that comes and goes with a test can miss what another thread was the first
/// to log.
pub(crate) struct Log;

impl Log {
    pub(crate) fn start() {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| Self).init());
    }

    pub(crate) fn text() -> String {
        LOGGED.with_borrow(|logged| String::from_utf8(logged.clone()).unwrap())
    }
}

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // The harness shows it where the test fails.
        print!("{}", String::from_utf8_lossy(octets));
        LOGGED.with_borrow_mut(|logged| logged.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
