/// Backend ids in one [`CandidateLine`].
pub const CANDIDATES_PER_LINE: usize = 32;

/// What a pool's policy hashes to pick among its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HashInput {
    /// The question name, case folded.
    Qname = 0,
    /// The client's address.
    Client = 1,
    /// Both.
    QnameClient = 2,
    /// Nothing: a random number. Over a table in which each backend stands as often as its weight
    /// says, that is weighted random.
    Random = 3,
    /// How many queries of the pool there were: its candidates take turns.
    RoundRobin = 4,
}

impl HashInput {
    /// From [`Pool::hash`]; an unknown code counts as the question name.
    #[inline(always)]
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Client,
            2 => Self::QnameClient,
            3 => Self::Random,
            4 => Self::RoundRobin,
            _ => Self::Qname,
        }
    }
}

/// A pool, by id: a run of candidates and how one is chosen; behind it, beginning with a line of its own, each
/// backend that has weight, once.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// First line of its candidates.
    pub first_line: u32,
    /// Number of its candidates, at least 1.
    pub candidates: u32,
    /// Id under which it is counted.
    pub id: u16,
    /// A [`HashInput`].
    pub hash: u8,
    /// [`Self::SLOW_PATH`] or nothing.
    pub flags: u8,
    /// Number of its backends that have weight.
    pub members: u32,
    /// Id of the pool that some clients' queries go to instead.
    pub switch_to: u16,
    /// The share of these clients, in percent: 0 to 100.
    pub switch_percent: u8,
    /// Unused, zero.
    pub reserved: [u8; 5],
}

impl Pool {
    /// All queries of the pool are for the slow path.
    pub const SLOW_PATH: u8 = 1;

    /// First line of its members.
    #[inline(always)]
    pub const fn member_line(&self) -> u32 {
        self.first_line + self.candidates.div_ceil(CANDIDATES_PER_LINE as u32)
    }
}

/// Backend ids: a piece of a pool's Maglev table.
///
/// A line rather than one entry per map element, because the kernel rounds an element up to 8 octets.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CandidateLine(pub [u16; CANDIDATES_PER_LINE]);
