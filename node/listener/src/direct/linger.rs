//! The end of a connection whose peer may still be sending: closing at once would reset it and lose the last answer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use super::{Input, Line, Stream};
use crate::limits::{LINGER_BYTES_MAX, LINGER_MS};

impl<S: Stream> Line<S> {
    /// Says the last word: closes for writing, then reads and forgets what still comes, within bounds.
    ///
    /// # Errors
    /// What the stream says; there is nothing left to do then.
    pub async fn linger(mut self, mut input: Input) -> io::Result<()> {
        let Self { stream, alarm, desk, .. } = &mut self;
        alarm.set(LINGER_MS);
        poll_fn(|cx| alarm.watch(Pin::new(&mut *stream).poll_shutdown(cx))).await?;
        let mut thrown = 0;
        while thrown < LINGER_BYTES_MAX {
            input.release(&desk.buffers);
            match poll_fn(|cx| alarm.watch(input.poll_fill(stream, cx, &desk.buffers))).await? {
                0 => break,
                count => thrown += count,
            }
        }
        input.release(&desk.buffers);
        Ok(())
    }
}
