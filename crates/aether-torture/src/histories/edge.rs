//! Which transaction came before which.

use super::anomaly::Name;
use super::order::{Order, Version};
use super::transaction::{Fate, Transaction};

/// Why one transaction came before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The second appended behind the first.
    Ww,
    /// The second read what the first appended.
    Wr,
    /// The first read without what the second appended.
    Rw {
        /// The row was not there.
        absent: bool,
        /// What the second appended is in no list that was read.
        unseen: bool,
    },
}

/// Transaction number `from` came before number `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The first.
    pub from: u32,
    /// The second.
    pub to: u32,
    /// Why.
    pub kind: Kind,
    /// The number of the key that tells.
    pub key: u32,
    /// The value that tells: of the second, for `Wr` of the first.
    pub value: u64,
}

/// All edges that the lists tell of.
pub fn find(transactions: &[Transaction], order: &Order) -> Vec<Edge> {
    let mut edges = Vec::new();
    let counts =
        |version: &Version| version.writer.filter(|writer| transactions[*writer].fate != Fate::Failed);
    let next = |key: usize, from: usize| {
        order.versions[key][from.min(order.versions[key].len())..]
            .iter()
            .find_map(|version| counts(version).map(|writer| (writer, version.value)))
    };
    let mut add = |from: usize, to: usize, kind: Kind, key: usize, value: u64| {
        if from != to {
            edges.push(Edge { from: from as u32, to: to as u32, kind, key: key as u32, value });
        }
    };
    for (key, versions) in order.versions.iter().enumerate() {
        let mut last = None;
        for (version, writer) in versions.iter().filter_map(|version| Some((version, counts(version)?))) {
            if let Some(before) = last.replace(writer) {
                add(before, writer, Kind::Ww, key, version.value);
            }
        }
        for version in &order.unseen[key] {
            if let (Some(before), Some(writer)) = (last, version.writer) {
                add(before, writer, Kind::Ww, key, version.value);
            }
        }
    }
    for seen in &order.seen {
        let read = seen.length.checked_sub(1).and_then(|at| order.versions[seen.key].get(at));
        if let Some((version, writer)) = read.and_then(|version| Some((version, counts(version)?))) {
            add(writer, seen.reader, Kind::Wr, seen.key, version.value);
        }
        let absent = seen.length == 0;
        match next(seen.key, seen.length) {
            Some((writer, value)) => {
                add(seen.reader, writer, Kind::Rw { absent, unseen: false }, seen.key, value);
            }
            None => {
                for version in &order.unseen[seen.key] {
                    let Some(writer) = version.writer else { continue };
                    add(seen.reader, writer, Kind::Rw { absent, unseen: true }, seen.key, version.value);
                }
            }
        }
    }
    edges
}

/// A step of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// By what was read.
    Edge(Edge),
    /// The first transaction had ended before the second began.
    Realtime {
        /// The first.
        from: u32,
        /// The second.
        to: u32,
    },
}

impl Step {
    /// The number of the transaction that it comes from.
    pub fn from(&self) -> u32 {
        match self {
            Self::Edge(edge) => edge.from,
            Self::Realtime { from, .. } => *from,
        }
    }

    fn is_rw(&self) -> bool {
        matches!(self, Self::Edge(Edge { kind: Kind::Rw { .. }, .. }))
    }

    fn is(&self, wanted: Kind) -> bool {
        matches!(self, Self::Edge(edge) if edge.kind == wanted)
    }

    /// In words.
    pub fn why(&self, transactions: &[Transaction], order: &Order) -> String {
        let id = |number: u32| transactions[number as usize].id;
        let Self::Edge(Edge { from, to, kind, key, value }) = self else {
            let Self::Realtime { from, to } = self else { return String::new() };
            return format!("T{} had ended before T{} began", id(*from), id(*to));
        };
        let (from, to, key) = (id(*from), id(*to), &order.keys[*key as usize]);
        match kind {
            Kind::Ww => format!("T{to} appended {value} to {key} behind what T{from} had appended"),
            Kind::Wr => format!("T{to} read {value} in {key}, appended by T{from}"),
            Kind::Rw { absent: true, .. } => {
                format!("T{from} read {key} as absent, where T{to} appended {value}")
            }
            Kind::Rw { .. } => format!("T{from} read {key} without {value}, appended by T{to}"),
        }
    }
}

/// The name of a cycle.
pub fn name(cycle: &[Step]) -> Name {
    let anti = cycle.iter().filter(|step| step.is_rw()).count();
    let has = |kind| cycle.iter().any(|step| step.is(kind));
    match anti {
        0 if has(Kind::Wr) => Name::G1c,
        0 => Name::G0,
        1 if !has(Kind::Wr) && !has(Kind::Ww) => not_seen(cycle),
        1 if is_lost_update(cycle) => Name::LostUpdate,
        1 => Name::GSingle,
        _ if !has_neighbours(cycle) => Name::GNonadjacent,
        _ if cycle.iter().any(is_phantom) => Name::G2,
        _ => Name::G2Item,
    }
}

fn is_phantom(step: &Step) -> bool {
    matches!(step, Step::Edge(Edge { kind: Kind::Rw { absent: true, .. }, .. }))
}

/// One anti-dependency and real time: an acknowledged append was not seen.
fn not_seen(cycle: &[Step]) -> Name {
    let unseen = |step: &Step| matches!(step, Step::Edge(Edge { kind: Kind::Rw { unseen: true, .. }, .. }));
    if cycle.iter().any(unseen) { Name::LostAppend } else { Name::StaleRead }
}

/// Two transactions and one key.
fn is_lost_update(cycle: &[Step]) -> bool {
    match cycle {
        [Step::Edge(one), Step::Edge(other)] => {
            one.key == other.key && (one.kind == Kind::Ww || other.kind == Kind::Ww)
        }
        _ => false,
    }
}

/// Two anti-dependencies follow each other, the last one and the first among them.
fn has_neighbours(cycle: &[Step]) -> bool {
    (0..cycle.len()).any(|at| cycle[at].is_rw() && cycle[(at + 1) % cycle.len()].is_rw())
}
