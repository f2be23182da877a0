//! The judge of `torture work`: from its events and a dump, is everything right?
//!
//! A client's transactions follow one another, and each puts its number under `c<client>/seq`; so the
//! number found tells exactly which transactions are there, and with them every row of that client.

use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) type Rows = BTreeMap<String, String>;

/// A transaction as its `I` line tells it.
struct Transaction {
    number: u64,
    writes: Vec<(String, Option<String>)>,
    read: BTreeMap<u64, u64>,
    failed: bool,
}

/// What one run said, client by client.
#[derive(Default)]
struct Client {
    transactions: Vec<Transaction>,
    acknowledged: u64,
}

/// The events of one run.
#[derive(Default)]
pub(crate) struct Run {
    clients: BTreeMap<u64, Client>,
}

impl Run {
    /// A run from its lines; one cut by the kill, without its newline, says nothing.
    pub(crate) fn parse(text: &str) -> Self {
        let mut run = Self::default();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            run.take(&event);
        }
        run
    }

    /// Transactions acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        let of =
            |client: &Client| client.transactions.iter().filter(|t| t.number <= client.acknowledged).count();
        self.clients.values().map(of).sum()
    }

    fn take(&mut self, event: &Value) {
        let client = self.clients.entry(event["c"].as_u64().unwrap()).or_default();
        let number = event["s"].as_u64().unwrap();
        match event["t"].as_str().unwrap() {
            "I" => client.transactions.push(Transaction::parse(number, event)),
            "A" => client.acknowledged = client.acknowledged.max(number),
            "F" => client.find(number).failed = true,
            "U" => {}
            other => panic!("unknown event {other}"),
        }
    }

    /// Checks `found` after this run over `before`; gives what is wrong.
    pub(crate) fn judge(&self, before: &Rows, found: &Rows) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut wanted = before.clone();
        for (number, client) in &self.clients {
            let newest = newest(found, *number);
            client.judge(*number, newest, &mut wrong);
            client.apply(newest, &mut wanted);
            wrong.extend(client.unread(newest, found));
        }
        wrong.extend(difference(&wanted, found));
        wrong
    }
}

impl Client {
    fn find(&mut self, number: u64) -> &mut Transaction {
        self.transactions.iter_mut().rev().find(|t| t.number == number).unwrap()
    }

    fn judge(&self, client: u64, newest: u64, wrong: &mut Vec<String>) {
        if newest < self.acknowledged {
            wrong.push(format!(
                "client {client}: {} is acknowledged, {newest} is the newest there",
                self.acknowledged
            ));
        }
        if self.transactions.iter().any(|t| t.failed && t.number == newest) {
            wrong.push(format!("client {client}: {newest} failed and is there"));
        }
    }

    fn apply(&self, newest: u64, rows: &mut Rows) {
        for transaction in self.transactions.iter().filter(|t| !t.failed && t.number <= newest) {
            for (key, value) in transaction.writes.clone() {
                match value {
                    Some(value) => rows.insert(key, value),
                    None => rows.remove(&key),
                };
            }
        }
    }

    /// Transactions that are there though what they read is not.
    fn unread(&self, newest: u64, found: &Rows) -> Vec<String> {
        let there = self.transactions.iter().filter(|t| !t.failed && t.number <= newest);
        let reads = there.flat_map(|t| t.read.iter().map(move |(client, read)| (t.number, *client, *read)));
        reads
            .filter(|(_, client, read)| *read > self::newest(found, *client))
            .map(|(number, client, read)| {
                format!("{number} is there, {read} of client {client}, which it read, is not")
            })
            .collect()
    }
}

impl Transaction {
    fn parse(number: u64, event: &Value) -> Self {
        let write =
            |write: &Value| (write[0].as_str().unwrap().to_string(), write[1].as_str().map(str::to_string));
        let read = |(client, number): (&String, &Value)| (client.parse().unwrap(), number.as_u64().unwrap());
        Self {
            number,
            writes: event["w"].as_array().unwrap().iter().map(write).collect(),
            read: event["dep"].as_object().unwrap().iter().map(read).collect(),
            failed: false,
        }
    }
}

/// The rows of a dump whose keys and values need no escapes.
pub(crate) fn rows(dump: &[u8]) -> Rows {
    let text = str::from_utf8(dump).unwrap();
    text.lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

fn newest(found: &Rows, client: u64) -> u64 {
    found.get(&format!("c{client}/seq")).map_or(0, |number| number.parse().unwrap())
}

fn difference(wanted: &Rows, found: &Rows) -> Vec<String> {
    let short = |value: Option<&String>| value.map(|value| value.chars().take(24).collect::<String>());
    let keys: std::collections::BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
    keys.into_iter()
        .filter(|key| wanted.get(*key) != found.get(*key))
        .map(|key| format!("{key}: {:?} wanted, {:?} found", short(wanted.get(key)), short(found.get(key))))
        .collect()
}

#[test]
fn the_judge_has_teeth() {
    let run = Run::parse(concat!(
        r#"{"t":"I","c":0,"s":1,"w":[["c0/a","s1:x"],["c0/seq","1"]],"dep":{}}"#,
        "\n",
        r#"{"t":"A","c":0,"s":1}"#,
        "\n",
        r#"{"t":"I","c":1,"s":1,"w":[["c1/b","s1:y"],["c1/seq","1"]],"dep":{"0":1}}"#,
        "\n",
        r#"{"t":"I","c":0,"s":2,"w":[["c0/a",null],["c0/seq","2"]],"dep":{"1":1}}"#,
        "\n",
        r#"{"t":"A","c":0"#,
    ));
    assert_eq!(run.acknowledged(), 1);
    let wrong = |dump: &str| run.judge(&Rows::new(), &rows(dump.as_bytes())).len();
    assert_eq!(wrong("c0/a\ts1:x\nc0/seq\t1\n"), 0);
    assert_eq!(wrong("c0/seq\t2\nc1/b\ts1:y\nc1/seq\t1\n"), 0);
    assert!(wrong("") > 0, "an acknowledged transaction is missing");
    assert!(wrong("c0/seq\t1\n") > 0, "half a transaction is there");
    assert!(wrong("c0/seq\t2\n") > 0, "what was read is missing");
    assert!(wrong("c0/a\ts1:x\nc0/b\ts1:z\nc0/seq\t1\n") > 0, "a stranger is there");
}
