//! Random numbers that cannot be guessed: DNS IDs.

/// Octets taken from the kernel at once: a system call each would cost more than a query.
const AT_ONCE: usize = 256;

/// A supply of random numbers from the kernel (getrandom(2)).
#[derive(Debug)]
pub struct Random {
    octets: [u8; AT_ONCE],
    used: usize,
}

impl Random {
    pub const fn new() -> Self {
        Self { octets: [0; AT_ONCE], used: AT_ONCE }
    }

    /// The next one.
    pub fn next_u16(&mut self) -> u16 {
        if self.used + 2 > AT_ONCE {
            self.refill();
        }
        let number = u16::from_ne_bytes([self.octets[self.used], self.octets[self.used + 1]]);
        self.used += 2;
        number
    }

    fn refill(&mut self) {
        // SAFETY: the kernel writes at most so many octets. Up to 256 come whole, and without fail once the
        // kernel has booted (getrandom(2)).
        let read = unsafe { libc::getrandom(self.octets.as_mut_ptr().cast(), AT_ONCE, 0) };
        debug_assert_eq!(read, AT_ONCE as isize);
        self.used = 0;
    }
}
