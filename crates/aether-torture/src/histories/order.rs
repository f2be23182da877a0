//! The versions of each key in their order, who read which, and what is wrong without any cycle.

use super::anomaly::{Anomaly, Name};
use super::event::{Key, Op};
use super::level::Level;
use super::transaction::{Fate, Transaction};
use std::collections::HashMap;

/// One version of a list: what it had last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The value.
    pub value: u64,
    /// The number of the transaction that appended it; none: nobody.
    pub writer: Option<usize>,
}

/// Transaction number `reader` saw the first `length` versions of a key, and not the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The key's number.
    pub key: usize,
    /// The transaction's number.
    pub reader: usize,
    /// How much it saw.
    pub length: usize,
}

/// What the lists that were read tell.
#[derive(Debug, Default)]
pub struct Order {
    /// Keys by number.
    pub keys: Vec<Key>,
    /// The versions of each key: the longest list that was read.
    pub versions: Vec<Vec<Version>>,
    /// Who saw how much of which key.
    pub seen: Vec<Seen>,
    /// Appends that are acknowledged and in no list that was read, by key.
    pub unseen: Vec<Vec<Version>>,
    /// What is wrong without any cycle.
    pub anomalies: Vec<Anomaly>,
}

/// Finds the order of all versions in a history that claims a level.
pub fn find(transactions: &[Transaction], level: Level) -> Order {
    let mut finder =
        Finder { transactions, level, numbers: HashMap::new(), writers: Vec::new(), order: Order::default() };
    finder.note_writers();
    finder.note_versions();
    finder.note_unseen();
    finder.check_versions();
    for reader in 0..transactions.len() {
        finder.check_reads(reader);
    }
    finder.order.seen.sort_unstable();
    finder.order.seen.dedup();
    finder.order
}

struct Finder<'a> {
    transactions: &'a [Transaction],
    level: Level,
    numbers: HashMap<Key, usize>,
    /// Of each key, who appended which value.
    writers: Vec<HashMap<u64, usize>>,
    order: Order,
}

/// What a transaction knows of a key.
#[derive(Default)]
struct Known<'a> {
    /// The list without its own appends, at its last read.
    base: Option<&'a [u64]>,
    own: Vec<u64>,
}

impl<'a> Finder<'a> {
    fn number(&mut self, key: &Key) -> usize {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.order.keys.len();
        self.numbers.insert(key.clone(), number);
        self.order.keys.push(key.clone());
        self.order.versions.push(Vec::new());
        self.order.unseen.push(Vec::new());
        self.writers.push(HashMap::new());
        number
    }

    fn note_writers(&mut self) {
        for (writer, transaction) in self.transactions.iter().enumerate() {
            for (key, value) in transaction.appends() {
                let key = self.number(key);
                self.writers[key].insert(value, writer);
            }
        }
    }

    /// The lists that committed transactions have read.
    fn reads(&self, reader: usize) -> impl Iterator<Item = (&'a Key, &'a [u64])> + use<'a> {
        let transaction = &self.transactions[reader];
        let ops = if transaction.fate == Fate::Committed { &transaction.ops[..] } else { &[] };
        ops.iter().filter_map(|op| match op {
            Op::Read(key, Some(list)) => Some((key, &list[..])),
            _ => None,
        })
    }

    fn note_versions(&mut self) {
        let mut longest: HashMap<usize, &[u64]> = HashMap::new();
        for reader in 0..self.transactions.len() {
            for (key, list) in self.reads(reader) {
                let best = longest.entry(self.number(key)).or_default();
                if list.len() > best.len() {
                    *best = list;
                }
            }
        }
        for (key, list) in longest {
            let version =
                |value: &u64| Version { value: *value, writer: self.writers[key].get(value).copied() };
            self.order.versions[key] = list.iter().map(version).collect();
        }
    }

    fn note_unseen(&mut self) {
        for (writer, transaction) in self.transactions.iter().enumerate() {
            if transaction.fate != Fate::Committed {
                continue;
            }
            for (key, value) in transaction.appends() {
                let key = self.numbers[key];
                if !self.order.versions[key].iter().any(|version| version.value == value) {
                    self.order.unseen[key].push(Version { value, writer: Some(writer) });
                }
            }
        }
    }

    fn is_failed(&self, version: &Version) -> bool {
        version.writer.is_some_and(|writer| self.transactions[writer].fate == Fate::Failed)
    }

    fn id(&self, number: usize) -> u64 {
        self.transactions[number].id
    }

    fn report(&mut self, name: Name, transactions: &[usize], why: String) {
        let transactions = transactions.iter().map(|number| self.id(*number)).collect();
        self.order.anomalies.push(Anomaly::direct(name, transactions, why));
    }

    /// A committed value behind one that was given up.
    fn check_versions(&mut self) {
        for key in 0..self.order.keys.len() {
            let versions = self.order.versions[key].clone();
            for pair in versions.windows(2) {
                if !self.is_failed(&pair[0]) {
                    continue;
                }
                let (Some(below), Some(above)) = (pair[0].writer, pair[1].writer) else { continue };
                if self.transactions[above].fate != Fate::Failed {
                    let why = format!(
                        "T{} appended {} to {} behind {} of T{}, which did not commit",
                        self.id(above),
                        pair[1].value,
                        self.order.keys[key],
                        pair[0].value,
                        self.id(below)
                    );
                    self.report(Name::DirtyUpdate, &[below, above], why);
                }
            }
        }
    }

    fn check_reads(&mut self, reader: usize) {
        let transactions = self.transactions;
        let transaction = &transactions[reader];
        if transaction.fate != Fate::Committed {
            return;
        }
        let mut known: HashMap<usize, Known<'a>> = HashMap::new();
        for op in &transaction.ops {
            match op {
                Op::Append(key, value) => known.entry(self.numbers[key]).or_default().own.push(*value),
                Op::Read(key, list) => {
                    let key = self.numbers[key];
                    let list = list.as_deref().unwrap_or_default();
                    let before = known.entry(key).or_default();
                    self.check_read(reader, key, list, before);
                }
            }
        }
    }

    fn check_read(&mut self, reader: usize, key: usize, list: &'a [u64], known: &mut Known<'a>) {
        if !self.is_sound(reader, key, list) {
            return;
        }
        let Some(base) = list.strip_suffix(&known.own[..]) else {
            let why = format!(
                "T{} read {list:?} in {}, but had itself appended {:?}",
                self.id(reader),
                self.order.keys[key],
                known.own
            );
            return self.report(Name::Internal, &[reader], why);
        };
        if self.level >= Level::Snapshot && known.base.is_some_and(|before| before != base) {
            let why = format!(
                "T{} read {} twice: first {:?}, then {base:?}",
                self.id(reader),
                self.order.keys[key],
                known.base.unwrap_or_default()
            );
            self.report(Name::Internal, &[reader], why);
        }
        known.base = Some(base);
        self.check_last(reader, key, base);
        self.order.seen.push(Seen { key, reader, length: base.len() });
    }

    /// Whether the list is made of what was appended and committed, each once, in the order of the others' lists.
    fn is_sound(&mut self, reader: usize, key: usize, list: &[u64]) -> bool {
        let versions = &self.order.versions[key];
        let split = list.iter().zip(versions).position(|(value, version)| *value != version.value);
        if let Some(at) = split {
            let why = format!(
                "T{} read {list:?} in {}, others {:?}; they part at number {at}",
                self.id(reader),
                self.order.keys[key],
                versions.iter().map(|version| version.value).collect::<Vec<_>>()
            );
            let other = versions[at].writer.filter(|other| *other != reader);
            self.report(
                Name::IncompatibleOrder,
                &[Some(reader), other].into_iter().flatten().collect::<Vec<_>>(),
                why,
            );
        }
        self.check_values(reader, key, list) && split.is_none()
    }

    fn check_values(&mut self, reader: usize, key: usize, list: &[u64]) -> bool {
        let mut met = HashMap::with_capacity(list.len());
        for value in list {
            let said = |what: &str| {
                format!("T{} read {value} in {}, which {what}", self.id(reader), self.order.keys[key])
            };
            let (name, other, why) = match self.writers[key].get(value) {
                None => (Name::GarbageRead, None, said("nobody appended")),
                _ if met.insert(*value, ()).is_some() => {
                    (Name::DuplicateElement, None, said("stands there twice"))
                }
                Some(writer) if self.transactions[*writer].fate == Fate::Failed => (
                    Name::G1a,
                    Some(*writer),
                    said(&format!("is of T{}, which did not commit", self.id(*writer))),
                ),
                _ => continue,
            };
            self.report(name, &[other, Some(reader)].into_iter().flatten().collect::<Vec<_>>(), why);
            return name == Name::G1a;
        }
        true
    }

    /// The last value that was read is the last that its transaction appended.
    fn check_last(&mut self, reader: usize, key: usize, base: &[u64]) {
        let Some(value) = base.last() else { return };
        let Some(writer) = self.writers[key].get(value).copied().filter(|writer| *writer != reader) else {
            return;
        };
        let name = &self.order.keys[key];
        let last = self.transactions[writer].appends().filter(|(key, _)| *key == name).last();
        let Some((_, last)) = last.filter(|(_, last)| last != value) else { return };
        let why = format!(
            "T{} read {value} in {name} as the last of T{}, which appended {last} behind it",
            self.id(reader),
            self.id(writer)
        );
        self.report(Name::G1b, &[writer, reader], why);
    }
}
