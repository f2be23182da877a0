//! The header of a database in a dump: `VERSION=3`, keywords with values, `HEADER=END`.

use crate::db_dump::{Encoding, VERSION};
use crate::exit::{Exit, Failure, Outcome};
use crate::load::lines::{LineLimit, Lines};

/// Lines of a header at the most.
const LINES_MAX: usize = 64;
const LIMIT: LineLimit = LineLimit { bytes: 4096, origin: "no line of a header is that long" };
/// Characters of a foreign line that are shown.
const SHOWN_BYTES: usize = 32;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) encoding: Encoding,
    pub(super) name: Option<String>,
    /// A key may have several values.
    pub(super) may_repeat_keys: bool,
}

/// The keywords met so far, with their values.
#[derive(Default)]
struct Keywords(Vec<(String, String)>);

/// Reads a header; nothing at the end of the input. Blocks on the input.
pub(super) fn read(lines: &mut Lines<'_>) -> Outcome<Option<Header>> {
    let Some(first) = lines.next(LIMIT)? else { return Ok(None) };
    judge_version(first)?;
    let mut keywords = Keywords(vec![("VERSION".into(), VERSION.to_string())]);
    while let Some(line) = lines.next(LIMIT)? {
        if line == b"HEADER=END" {
            return keywords.header().map(Some);
        }
        keywords.add(line)?;
    }
    Err(Failure::input("the dump is truncated: it ends before HEADER=END"))
}

/// The failure of an input that is no dump, with the beginning of its line.
pub(super) fn foreign(line: &[u8]) -> Failure {
    Failure::input(format!(
        "not a dump of db_dump or mdb_dump: VERSION={VERSION} is wanted, there is \"{}\"",
        beginning(line)
    ))
}

/// The beginning of a line, fit to be shown.
pub(super) fn beginning(line: &[u8]) -> String {
    line[..line.len().min(SHOWN_BYTES)].escape_ascii().to_string()
}

fn judge_version(line: &[u8]) -> Outcome<()> {
    let version = line.strip_prefix(b"VERSION=").ok_or_else(|| foreign(line))?;
    if version == VERSION.to_string().as_bytes() {
        return Ok(());
    }
    let told = format!("version {} of the dump format, where {VERSION} is known", beginning(version));
    Err(Failure::new(Exit::Damaged, told))
}

impl Keywords {
    fn add(&mut self, line: &[u8]) -> Outcome<()> {
        let text = str::from_utf8(line).ok().and_then(|line| line.split_once('='));
        let Some((keyword, value)) = text else {
            return Err(Failure::input(format!(
                "\"{}\" in a header, where KEYWORD=VALUE is wanted",
                beginning(line)
            )));
        };
        if self.get(keyword).is_some() {
            return Err(Failure::input(format!("{keyword}= is twice in the header")));
        }
        if self.0.len() >= LINES_MAX {
            return Err(Failure::input(format!("a header of more than {LINES_MAX} lines")));
        }
        self.0.push((keyword.into(), value.into()));
        Ok(())
    }

    fn get(&self, keyword: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == keyword).map(|(_, value)| value.as_str())
    }

    fn is_set(&self, keyword: &str) -> bool {
        self.get(keyword).is_some_and(|value| value == "1")
    }

    fn header(&self) -> Outcome<Header> {
        self.judge_type()?;
        let encoding = self.encoding()?;
        let name = self.get("database").or_else(|| self.get("subdatabase")).map(name);
        let may_repeat_keys = self.is_set("duplicates") || self.is_set("dupsort");
        Ok(Header { encoding, name, may_repeat_keys })
    }

    fn encoding(&self) -> Outcome<Encoding> {
        match self.get("format") {
            Some("bytevalue") => Ok(Encoding::Bytevalue),
            Some("print") => Ok(Encoding::Print),
            Some(other) => {
                Err(Failure::input(format!("format={other}, where bytevalue and print are known")))
            }
            None => Err(Failure::input("format= is missing in the header")),
        }
    }

    fn judge_type(&self) -> Outcome<()> {
        match self.get("type") {
            Some("btree" | "hash") => Ok(()),
            Some(other) => Err(Failure::input(format!("type={other}, where btree and hash are known"))),
            None => Err(Failure::input("type= is missing in the header")),
        }
    }
}

/// The name of a database: `db_dump` escapes it as `print` does, `mdb_dump` does not.
fn name(text: &str) -> String {
    let mut bytes = Vec::new();
    match Encoding::Print.decode(text.as_bytes(), &mut bytes) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_else(|_| text.into()),
        Err(_) => text.into(),
    }
}
