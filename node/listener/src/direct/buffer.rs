//! Buffers of one shard, held only while bytes are in them: ten thousand idle connections hold none.
//!
//! Storage is always initialised, so reading into it needs no `unsafe`; what a connection gives back is used again by the next.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::limits::{BUFFERS_KEPT_MAX, INPUT_BYTES, LARGE_BUFFERS_KEPT_MAX, LARGE_INPUT_BYTES};

/// The free buffers of one shard.
#[derive(Debug, Default)]
pub struct Buffers {
    /// The input storage that was used last: most reads find nothing, and it comes and goes in one move.
    spare: RefCell<Box<[u8]>>,
    inputs: Shelf<Box<[u8]>>,
    large: Shelf<Box<[u8]>>,
    outputs: Shelf<Vec<u8>>,
}

/// Free buffers of one kind.
#[derive(Debug, Default)]
struct Shelf<T> {
    free: RefCell<Vec<T>>,
    /// Fewest free ones since the last trim: what was never needed.
    low: Cell<usize>,
}

impl<T> Shelf<T> {
    fn take(&self) -> Option<T> {
        let mut free = self.free.borrow_mut();
        let taken = free.pop();
        self.low.set(self.low.get().min(free.len()));
        taken
    }

    fn give(&self, buffer: T, kept_max: usize) {
        let mut free = self.free.borrow_mut();
        if free.len() < kept_max {
            free.push(buffer);
        }
    }

    /// Frees a part of what was not needed since the last call.
    fn trim(&self) {
        let mut free = self.free.borrow_mut();
        let surplus = self.low.get().div_ceil(4);
        let left = free.len().saturating_sub(surplus);
        free.truncate(left);
        free.shrink_to(left);
        self.low.set(left);
    }
}

impl Buffers {
    /// An empty buffer to write into.
    pub fn output(&self) -> Vec<u8> {
        self.outputs.take().unwrap_or_else(|| Vec::with_capacity(INPUT_BYTES))
    }

    /// Gives a buffer of [`Self::output`] back.
    pub fn recycle(&self, mut output: Vec<u8>) {
        if (INPUT_BYTES..=2 * INPUT_BYTES).contains(&output.capacity()) {
            output.clear();
            self.outputs.give(output, BUFFERS_KEPT_MAX);
        }
    }

    /// Frees a part of what was not needed since the last call; called a few times per second. One input storage stays.
    pub fn trim(&self) {
        self.inputs.trim();
        self.large.trim();
        self.outputs.trim();
    }

    fn input(&self, is_large: bool) -> Box<[u8]> {
        let spare = if is_large { Box::default() } else { self.spare.take() };
        if !spare.is_empty() {
            return spare;
        }
        let (shelf, bytes) =
            if is_large { (&self.large, LARGE_INPUT_BYTES) } else { (&self.inputs, INPUT_BYTES) };
        shelf.take().unwrap_or_else(|| vec![0; bytes].into_boxed_slice())
    }

    fn give(&self, storage: Box<[u8]>) {
        match storage.len() {
            INPUT_BYTES => {
                let former = self.spare.replace(storage);
                if !former.is_empty() {
                    self.inputs.give(former, BUFFERS_KEPT_MAX);
                }
            }
            LARGE_INPUT_BYTES => self.large.give(storage, LARGE_BUFFERS_KEPT_MAX),
            _ => {}
        }
    }
}

/// Bytes read from a stream and not yet used. Without any it holds no storage.
#[derive(Debug, Default)]
pub struct Input {
    storage: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Input {
    /// What was read and not used.
    pub fn filled(&self) -> &[u8] {
        self.storage.get(self.start..self.end).unwrap_or_default()
    }

    /// The same, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        self.storage.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Number of bytes that were read and not used.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether every byte was used.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Marks bytes as used; storage goes back when none is left.
    pub fn consume(&mut self, count: usize, buffers: &Buffers) {
        self.start = (self.start + count).min(self.end);
        if self.is_empty() {
            self.release(buffers);
        }
    }

    /// Forgets everything and gives the storage back.
    pub fn release(&mut self, buffers: &Buffers) {
        (self.start, self.end) = (0, 0);
        buffers.give(std::mem::take(&mut self.storage));
    }

    /// Reads once; zero means the peer has ended. While nothing comes, an empty input holds no storage.
    ///
    /// # Errors
    /// What the stream says; `OutOfMemory` when the storage is full of unused bytes.
    pub fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<io::Result<usize>> {
        self.poll_fill_of(stream, cx, buffers, false)
    }

    /// As [`Self::poll_fill`]; with `is_long` an empty input reads into large storage, for streams where fewer calls count.
    ///
    /// # Errors
    /// As [`Self::poll_fill`].
    pub fn poll_fill_of<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        is_long: bool,
    ) -> Poll<io::Result<usize>> {
        if self.storage.is_empty() {
            self.storage = buffers.input(is_long);
        } else if self.end == self.storage.len() {
            self.storage.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let room = self.storage.get_mut(self.end..).unwrap_or_default();
        if room.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        let mut part = ReadBuf::new(room);
        let outcome = Pin::new(stream).poll_read(cx, &mut part);
        let read = part.filled().len();
        if read == 0 && self.is_empty() {
            self.release(buffers);
        }
        ready!(outcome)?;
        self.end += read;
        Poll::Ready(Ok(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn fill(input: &mut Input, mut bytes: &[u8], buffers: &Buffers) -> io::Result<usize> {
        match input.poll_fill(&mut bytes, &mut Context::from_waker(Waker::noop()), buffers) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => unreachable!("a slice is always ready"),
        }
    }

    #[test]
    fn storage_is_held_while_bytes_are_in_it() {
        let (buffers, mut input) = (Buffers::default(), Input::default());
        assert_eq!(fill(&mut input, b"", &buffers).unwrap(), 0);
        assert!(input.storage.is_empty());
        assert_eq!(fill(&mut input, b"abcdef", &buffers).unwrap(), 6);
        input.consume(2, &buffers);
        assert_eq!(input.filled(), b"cdef");
        assert_eq!(fill(&mut input, b"gh", &buffers).unwrap(), 2);
        assert_eq!(input.filled(), b"cdefgh");
        input.consume(6, &buffers);
        assert!(input.storage.is_empty() && buffers.spare.take().len() == INPUT_BYTES);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(input.poll_fill_of(&mut &b"x"[..], &mut cx, &buffers, true).is_ready());
        assert_eq!(input.storage.len(), LARGE_INPUT_BYTES);
        // What was long once does not make the next request large.
        input.consume(1, &buffers);
        fill(&mut input, b"x", &buffers).unwrap();
        assert_eq!(input.storage.len(), INPUT_BYTES);
    }

    #[test]
    fn unused_bytes_move_to_the_front_and_are_bounded() {
        let (buffers, mut input) = (Buffers::default(), Input::default());
        let full = vec![b'x'; INPUT_BYTES];
        assert_eq!(fill(&mut input, &full, &buffers).unwrap(), INPUT_BYTES);
        assert_eq!(fill(&mut input, b"y", &buffers).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        input.consume(10, &buffers);
        assert_eq!(fill(&mut input, b"y", &buffers).unwrap(), 1);
        assert_eq!((input.len(), input.filled().last()), (INPUT_BYTES - 9, Some(&b'y')));
    }

    #[test]
    fn what_was_not_needed_is_freed() {
        let buffers = Buffers::default();
        (0..100).map(|_| buffers.output()).collect::<Vec<_>>().into_iter().for_each(|b| buffers.recycle(b));
        let free = || buffers.outputs.free.borrow().len();
        assert_eq!(free(), 100);
        (0..60).for_each(|_| buffers.trim());
        assert_eq!(free(), 0);
    }
}
