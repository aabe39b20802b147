//! Active health checks: how many answers in a row turn the judgement on a target.

use tidegate_proto::limits::{CHECK_FALL, CHECK_RISE};

/// The last checks of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    passed: u8,
    failed: u8,
}

/// What is believed of a target from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is well.
    Up,
    /// It is not.
    Down,
}

impl Streak {
    /// Takes one check in. Says what is to be believed once enough in a row agree, and again with every further one.
    pub fn note(&mut self, passes: bool) -> Option<Turn> {
        let (up, down) = (&mut self.passed, &mut self.failed);
        let (grows, ends) = if passes { (up, down) } else { (down, up) };
        *ends = 0;
        *grows = grows.saturating_add(1);
        if self.passed >= CHECK_RISE {
            Some(Turn::Up)
        } else if self.failed >= CHECK_FALL {
            Some(Turn::Down)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_in_a_row_turn_the_judgement() {
        let mut streak = Streak::default();
        let table = [
            (false, None),
            (true, None),
            (false, None),
            (false, Some(Turn::Down)),
            (false, Some(Turn::Down)),
            (true, None),
            (true, Some(Turn::Up)),
            (false, None),
        ];
        for (passes, expect) in table {
            assert_eq!(streak.note(passes), expect);
        }
        (0..1_000).for_each(|_| _ = streak.note(true));
        assert_eq!(streak.note(true), Some(Turn::Up));
    }
}
