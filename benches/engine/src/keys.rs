//! Keys of several kinds, made beforehand so that making them is not measured.

/// A kind of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Numbers of 8 bytes, in order.
    Integers,
    /// 16 bytes that look random.
    Random,
    /// Addresses of pages, about 45 bytes, of which the first 20 are the same and many share more.
    Urls,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Integers, Self::Random, Self::Urls];

    /// How figures name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integers => "integers in order",
            Self::Random => "random 16 B",
            Self::Urls => "URLs",
        }
    }

    /// Key `number`.
    pub fn key(self, number: u64) -> Vec<u8> {
        let mixed = mix(number);
        match self {
            Self::Integers => number.to_be_bytes().to_vec(),
            Self::Random => [mixed.to_be_bytes(), number.to_be_bytes()].concat(),
            Self::Urls => {
                let (site, section) = (mixed % 2_000, mixed / 2_000 % 40);
                format!("https://www.example-{site}.org/section-{section}/{number:08}").into_bytes()
            }
        }
    }
}

/// Keys one behind the other in one piece.
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// The keys with these numbers, in this order.
    pub fn new(kind: Kind, numbers: impl Iterator<Item = u64>) -> Self {
        let mut keys = Self { bytes: Vec::new(), ends: Vec::new() };
        for number in numbers {
            keys.bytes.extend(kind.key(number));
            keys.ends.push(keys.bytes.len());
        }
        keys
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Key `index` of this list.
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// A number for each number, each once; neighbours lie far from each other.
pub fn mix(number: u64) -> u64 {
    let mixed = (number ^ number >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// Keys in the orders in which a map is asked for them.
pub struct Work {
    /// What they are.
    pub kind: Kind,
    /// Those that are there, in order.
    pub present: Keys,
    /// The same, mixed; some come more than once, some never.
    pub hits: Keys,
    /// Those that lie between.
    pub misses: Keys,
}

impl Work {
    /// Even numbers are there, odd ones are misses.
    pub fn new(kind: Kind, rows: u64) -> Self {
        let spread = |number: u64| mix(number) % rows;
        let keys = |numbers: &dyn Fn(u64) -> u64| Keys::new(kind, (0..rows).map(numbers));
        Self {
            kind,
            present: keys(&|number| number * 2),
            hits: keys(&|number| spread(number) * 2),
            misses: keys(&|number| spread(number) * 2 + 1),
        }
    }
}
