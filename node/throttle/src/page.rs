//! Growing tables whose elements never move, so that threads can share them without a lock. Owns pages and the marks that
//! tell the agent which of a million cells to look at.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU64,
        Ordering::{AcqRel, Relaxed},
    },
};

/// Elements of one page: as many as one mark of 64 words of 64 bits can tell apart.
pub(crate) const PAGE: usize = 4_096;
const WORDS: usize = PAGE / 64;

/// A table that grows by whole pages. What every request reads is apart from the marks: a few words per page stay in the nearest
/// cache even for a million elements.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    pages: Box<[OnceLock<Box<[T; PAGE]>>]>,
    marks: Box<[OnceLock<Box<PageMarks>>]>,
}

#[derive(Debug)]
struct PageMarks {
    touched: Marks,
    urgent: Marks,
}

/// One bit per element, and one per word of those.
#[derive(Debug)]
struct Marks {
    words: [AtomicU64; WORDS],
    summary: AtomicU64,
}

/// The two sets of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Used for the first time since the agent forgot it.
    Touched,
    /// Short of tokens.
    Urgent,
}

impl<T: Default> Pages<T> {
    /// An empty table for at most `elements_max`.
    pub(crate) fn new(elements_max: usize) -> Self {
        let pages = elements_max.div_ceil(PAGE);
        Self {
            pages: (0..pages).map(|_| OnceLock::new()).collect(),
            marks: (0..pages).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The element, where its page exists.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        self.pages.get(index / PAGE)?.get()?.get(index % PAGE)
    }

    /// Makes the page of the element; false beyond the end of the table.
    pub(crate) fn ensure(&self, index: u32) -> bool {
        let number = index as usize / PAGE;
        let (Some(page), Some(marks)) = (self.pages.get(number), self.marks.get(number)) else {
            return false;
        };
        marks.get_or_init(|| Box::new(PageMarks { touched: Marks::new(), urgent: Marks::new() }));
        let elements = || (0..PAGE).map(|_| T::default()).collect::<Box<[T]>>();
        // As many as there are in a page, so the conversion never fails.
        if page.get().is_none()
            && let Ok(elements) = elements().try_into()
        {
            page.get_or_init(|| elements);
        }
        page.get().is_some()
    }

    /// Sets a mark.
    pub(crate) fn mark(&self, index: u32, mark: Mark) {
        let index = index as usize;
        if let Some(marks) = self.marks.get(index / PAGE).and_then(OnceLock::get) {
            marks.of(mark).set(index % PAGE);
        }
    }

    /// Calls `each` with every marked element and clears the marks.
    pub(crate) fn sweep(&self, mark: Mark, mut each: impl FnMut(u32)) {
        for (number, marks) in self.marks.iter().enumerate() {
            if let Some(marks) = marks.get() {
                marks.of(mark).sweep(|at| each((number * PAGE + at) as u32));
            }
        }
    }
}

impl PageMarks {
    fn of(&self, mark: Mark) -> &Marks {
        match mark {
            Mark::Touched => &self.touched,
            Mark::Urgent => &self.urgent,
        }
    }
}

impl Marks {
    fn new() -> Self {
        Self { words: [const { AtomicU64::new(0) }; WORDS], summary: AtomicU64::new(0) }
    }

    fn set(&self, at: usize) {
        if let Some(word) = self.words.get(at / 64) {
            word.fetch_or(1 << (at % 64), AcqRel);
            self.summary.fetch_or(1 << (at / 64), AcqRel);
        }
    }

    /// The summary is cleared before the words, so a mark that is set meanwhile is found now or next time.
    fn sweep(&self, mut each: impl FnMut(usize)) {
        if self.summary.load(Relaxed) == 0 {
            return;
        }
        let mut summary = self.summary.swap(0, AcqRel);
        while summary != 0 {
            let number = summary.trailing_zeros() as usize;
            summary &= summary - 1;
            let mut word = self.words.get(number).map_or(0, |word| word.swap(0, AcqRel));
            while word != 0 {
                each(number * 64 + word.trailing_zeros() as usize);
                word &= word - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_once() {
        let pages: Pages<u8> = Pages::new(3 * PAGE);
        for index in [0, 63, 64, 4_095, 8_192] {
            assert!(pages.ensure(index));
            pages.mark(index, Mark::Touched);
            pages.mark(index, Mark::Touched);
        }
        pages.mark(5_000, Mark::Touched);
        assert!(!pages.ensure(3 * PAGE as u32) && pages.get(5_000).is_none() && pages.get(9_000).is_some());
        let mut found = Vec::new();
        pages.sweep(Mark::Touched, |index| found.push(index));
        assert_eq!(found, [0, 63, 64, 4_095, 8_192]);
        pages.sweep(Mark::Touched, |index| panic!("{index}"));
        pages.sweep(Mark::Urgent, |index| panic!("{index}"));
    }
}
