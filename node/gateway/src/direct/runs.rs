//! Copies header lines from one head into another in runs: neighbours that stay are copied together.

use tidegate_proto::field::Field;

use super::NotDirect;

/// A copy in progress.
pub(super) struct Runs<'r, 'o> {
    raw: &'r [u8],
    fields: &'r [Field<'r>],
    /// Start of the lines that stay and are not copied yet.
    pending: usize,
    pub(super) out: &'o mut Vec<u8>,
}

impl<'r, 'o> Runs<'r, 'o> {
    /// Begins before the first header line.
    pub(super) fn begin(raw: &'r [u8], fields: &'r [Field<'r>], out: &'o mut Vec<u8>) -> Self {
        let mut runs = Self { raw, fields, pending: 0, out };
        runs.pending = runs.start(0);
        runs
    }

    /// Leaves out line `index`; what stays before it is copied.
    pub(super) fn skip(&mut self, index: usize) -> Result<(), NotDirect> {
        self.copy_to(self.start(index))?;
        self.pending = self.start(index + 1);
        Ok(())
    }

    /// Copies up to line `index`, so that something can be put before it.
    pub(super) fn pause(&mut self, index: usize) -> Result<(), NotDirect> {
        let start = self.start(index);
        self.copy_to(start)?;
        self.pending = start;
        Ok(())
    }

    /// Copies the rest.
    pub(super) fn finish(mut self) -> Result<(), NotDirect> {
        self.copy_to(self.end())
    }

    fn copy_to(&mut self, end: usize) -> Result<(), NotDirect> {
        self.out.extend_from_slice(self.raw.get(self.pending..end).ok_or(NotDirect)?);
        Ok(())
    }

    /// Where line `index` starts; past the last line, where the lines end.
    fn start(&self, index: usize) -> usize {
        let place =
            |field: &Field<'_>| (field.name.as_ptr() as usize).wrapping_sub(self.raw.as_ptr() as usize);
        self.fields.get(index).map_or_else(|| self.end(), place)
    }

    /// Before the empty line that closes the head.
    fn end(&self) -> usize {
        self.raw.len().saturating_sub(2)
    }
}

/// Appends a number in decimal.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    let (mut digits, mut at, mut left) = ([0; 20], 20, number);
    loop {
        at -= 1;
        if let Some(place) = digits.get_mut(at) {
            *place = b'0' + (left % 10) as u8;
        }
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}
