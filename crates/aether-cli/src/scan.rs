//! `scan`: the rows of a range and prefix, either way, up to a limit.

use crate::arguments::{Common, Scan};
use crate::exit::{Exit, Outcome};
use crate::home;
use crate::output::Output;
use std::ffi::OsString;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;

pub(crate) fn run(common: &Common, arguments: &Scan) -> Outcome {
    let env = home::open_existing(common)?;
    let keyspace = home::keyspace(&env, &arguments.keyspace)?;
    let mut output = Output::new(common.format);
    let limit = arguments.limit.unwrap_or(usize::MAX);
    let range = Range::new(arguments);
    if range.is_empty() || limit == 0 {
        output.rows(std::iter::empty())?;
    } else {
        let snapshot = env.snapshot()?;
        let rows = snapshot.range(&keyspace, range.bounds())?;
        if arguments.reverse {
            output.rows(rows.rev().take(limit))?;
        } else {
            output.rows(rows.take(limit))?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// Keys from `from` up to, but not including, `to`; no `to` means no end.
#[derive(PartialEq, Eq, Debug)]
struct Range {
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

impl Range {
    fn new(arguments: &Scan) -> Self {
        let bytes = |text: &Option<OsString>| text.as_ref().map(|text| text.as_bytes().to_vec());
        let whole = Self { from: bytes(&arguments.from).unwrap_or_default(), to: bytes(&arguments.to) };
        whole.within(&bytes(&arguments.prefix).unwrap_or_default())
    }

    /// The part of the range whose keys begin with `prefix`.
    fn within(self, prefix: &[u8]) -> Self {
        let from = self.from.max(prefix.to_vec());
        let to = match (self.to, prefix_end(prefix)) {
            (Some(to), Some(end)) => Some(to.min(end)),
            (to, end) => to.or(end),
        };
        Self { from, to }
    }

    fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    fn bounds(self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        (Bound::Included(self.from), self.to.map_or(Bound::Unbounded, Bound::Excluded))
    }
}

/// The least key above every key that begins with `prefix`, if there is one.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &[u8], to: Option<&[u8]>) -> Range {
        Range { from: from.to_vec(), to: to.map(<[u8]>::to_vec) }
    }

    #[test]
    fn a_prefix_has_an_end() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xff\xff"), None);
        assert_eq!(prefix_end(b""), None);
    }

    #[test]
    fn range_and_prefix_meet() {
        assert_eq!(range(b"", None).within(b"b"), range(b"b", Some(b"c")));
        assert_eq!(range(b"ba", Some(b"bb")).within(b"b"), range(b"ba", Some(b"bb")));
        assert!(range(b"c", None).within(b"b").is_empty());
        assert!(range(b"", Some(b"a")).within(b"b").is_empty());
        assert!(!range(b"", None).is_empty());
    }
}
