//! Of which kinds the keyspaces under test are.

use crate::rng::{Rng, derive};
use aether_kv::KeyspaceOptions;
use aether_kv::lsm::policy::PolicyKind;
use aether_types::IndexKind;
use core::fmt;
use core::str::FromStr;

const POLICIES: [PolicyKind; 5] =
    [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled, PolicyKind::Adaptive];

/// A kind of keyspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A B+tree.
    #[default]
    Btree,
    /// A radix tree.
    Rax,
    /// Rows in memory.
    Skiplist,
    /// An LSM tree with that merge policy.
    Lsm(PolicyKind),
}

impl Kind {
    /// Its index.
    pub fn index(self) -> IndexKind {
        self.options().kind
    }

    /// A kind whose index is another than `but`.
    pub fn draw(rng: &mut Rng, but: Option<IndexKind>) -> Self {
        let lsm = Kind::Lsm(POLICIES[rng.below(POLICIES.len())]);
        let others = [Kind::Btree, Kind::Rax, Kind::Skiplist, lsm, lsm].into_iter();
        let others: Vec<Kind> = others.filter(|kind| Some(kind.index()) != but).collect();
        others[rng.below(others.len())]
    }

    /// What a keyspace of this kind is created with.
    pub fn options(self) -> KeyspaceOptions {
        match self {
            Self::Btree => KeyspaceOptions::default(),
            Self::Rax => KeyspaceOptions::of(IndexKind::RAX),
            Self::Skiplist => KeyspaceOptions::of(IndexKind::SKIPLIST),
            Self::Lsm(policy) => KeyspaceOptions::lsm(policy),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Btree => f.write_str("btree"),
            Self::Rax => f.write_str("rax"),
            Self::Skiplist => f.write_str("skiplist"),
            Self::Lsm(policy) => write!(f, "lsm {policy}"),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = [Self::Btree, Self::Rax, Self::Skiplist];
        let all = plain.into_iter().chain(POLICIES.map(Self::Lsm));
        let found = all.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| format!("{text:?} is no kind of keyspace"))
    }
}

/// What the keyspaces of one store are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kinds {
    /// B+trees all: what seeds mean that were kept from when there was nothing else.
    #[default]
    Btree,
    /// As the seed has it: an LSM tree and another among the two that stay.
    Mixed,
}

impl Kinds {
    /// The names on the command line.
    pub const NAMES: [(Self, &'static str); 2] = [(Self::Btree, "btree"), (Self::Mixed, "mixed")];

    /// The kinds of two keyspaces that stay and one that comes and goes.
    pub fn deal(self, seed: u64) -> [Kind; 3] {
        if self == Self::Btree {
            return [Kind::Btree; 3];
        }
        let mut rng = Rng::new(derive(seed, 3));
        let mut lsm = || Kind::Lsm(POLICIES[rng.below(POLICIES.len())]);
        let (first, passing) = (lsm(), lsm());
        let others = [Kind::Btree, Kind::Rax, Kind::Skiplist];
        let second = others[rng.below(others.len())];
        let passing = *others.get(rng.below(5)).unwrap_or(&passing);
        if rng.chance(50) { [first, second, passing] } else { [second, first, passing] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for kind in [Kind::Btree, Kind::Rax, Kind::Skiplist].into_iter().chain(POLICIES.map(Kind::Lsm)) {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("lsm".parse::<Kind>().is_err() && "".parse::<Kind>().is_err());
    }

    #[test]
    fn seeds_deal_every_kind_to_every_place() {
        for place in 0..3 {
            let seen: Vec<Kind> = (0..200).map(|seed| Kinds::Mixed.deal(seed)[place]).collect();
            assert!(
                seen.contains(&Kind::Btree) && seen.contains(&Kind::Rax) && seen.contains(&Kind::Skiplist)
            );
            assert!(POLICIES.iter().all(|policy| seen.contains(&Kind::Lsm(*policy))));
        }
        assert_eq!(Kinds::Btree.deal(7), [Kind::Btree; 3]);
    }
}
