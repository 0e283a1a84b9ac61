//! Lines about single packets: who gets one, and what is in it.

use crate::reason::Reason;

/// How long a window is, in kernel ticks: 32 to 320 ms.
pub const WINDOW: u32 = 32;
/// How many lines a processor may write in a window.
pub const LINES: u32 = 10;

/// What a processor has written: it must neither be held up by whoever reads the lines, nor flood him.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineBudget {
    /// When the window began.
    began: u32,
    /// Lines written in it.
    lines: u32,
    /// Lines not written since the last one that was.
    suppressed: u64,
}

impl LineBudget {
    /// May there be a line now? If so, how many there were not since the last one.
    #[inline(always)]
    pub fn take(&mut self, ticks: u32) -> Option<u64> {
        if ticks.wrapping_sub(self.began) >= WINDOW {
            self.began = ticks;
            self.lines = 0;
        }
        if self.lines >= LINES {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(core::mem::take(&mut self.suppressed))
    }
}

impl Reason {
    /// Does a packet that ended so get a line? Not if it is none of ours: on a busy interface, those would
    /// leave no room for others.
    pub const fn is_logged(self) -> bool {
        !matches!(self, Self::NotIp | Self::NotForListener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_so_many_lines_and_the_next_line_tells_of_the_others() {
        let mut budget = LineBudget::default();
        let began = 1000;
        let mut take = |ticks| budget.take(ticks);
        for _ in 0..LINES {
            assert_eq!(take(began), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(take(began + WINDOW - 1), None);
        }
        assert_eq!(take(began + WINDOW), Some(5));
        assert_eq!(take(began + WINDOW), Some(0));
    }

    #[test]
    fn the_clock_may_wrap() {
        let mut budget = LineBudget::default();
        for _ in 0..=LINES {
            budget.take(u32::MAX);
        }
        assert_eq!(budget.take(WINDOW - 2), None);
        assert_eq!(budget.take(WINDOW - 1), Some(2));
    }
}
