//! A TCP connection that acknowledges at once what it has read.
//!
//! A primary that leaves Nagle's algorithm on, as Knot does, holds the end of a transfer back until all before it is
//! acknowledged (RFC 9293 §3.7.4), and a receiver with nothing to say may take its time for that (RFC 9293 §3.8.6.3; 40 ms
//! on Linux). Each would wait for the other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection to a primary.
#[derive(Debug)]
pub struct Prompt(TcpStream);

impl Prompt {
    /// Takes the connection over.
    pub const fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// All is read: says so now. Linux forgets the setting as it goes, so it is set each time.
    fn acknowledge(&self) {
        // Where it cannot be set, the kernel says so when it would have anyway.
        #[cfg(target_os = "linux")]
        drop(socket2::SockRef::from(&self.0).set_tcp_quickack(true));
    }
}

impl AsyncRead for Prompt {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.0).poll_read(cx, buf);
        if read.is_pending() {
            this.acknowledge();
        }
        read
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
