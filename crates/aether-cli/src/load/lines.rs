//! Lines of bounded length, counted.

use crate::exit::{Failure, Outcome};
use std::io::{BufRead, Read};

/// The longest line that a reader takes.
#[derive(Clone, Copy)]
pub(crate) struct LineLimit {
    pub(crate) bytes: u64,
    /// Where the limit comes from.
    pub(crate) origin: &'static str,
}

impl LineLimit {
    /// The limit that `--line-bytes-max` sets.
    pub(crate) fn of_user(bytes: u64) -> Self {
        Self { bytes, origin: "--line-bytes-max" }
    }

    /// The failure of a line beyond the limit.
    pub(super) fn exceeded(self) -> Failure {
        Failure::input(format!("longer than {} bytes ({})", self.bytes, self.origin))
    }
}

/// The lines of an input.
pub(super) struct Lines<'a> {
    input: Box<dyn BufRead + 'a>,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: Box<dyn BufRead + 'a>) -> Self {
        Self { input, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line without its LF or CR LF, or nothing at the end. No more than the limit is read or held
    /// of a line that exceeds it. Blocks on the input.
    pub(super) fn next(&mut self, limit: LineLimit) -> Outcome<Option<&[u8]>> {
        self.line.clear();
        self.number += 1;
        let mut input = (&mut *self.input).take(limit.bytes.saturating_add(2));
        let read = input.read_until(b'\n', &mut self.line).map_err(|error| unread(&error))?;
        self.bytes += read as u64;
        self.strip_end();
        match read {
            0 => Ok(None),
            _ if self.line.len() as u64 > limit.bytes => Err(limit.exceeded()),
            _ => Ok(Some(&self.line)),
        }
    }

    fn strip_end(&mut self) {
        if self.line.pop_if(|last| *last == b'\n').is_some() {
            self.line.pop_if(|last| *last == b'\r');
        }
    }

    /// The number, from 1, of the line read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The failure of a read.
pub(super) fn unread(error: &std::io::Error) -> Failure {
    Failure::system("reading the input", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::io::{self, BufReader};
    use std::rc::Rc;

    fn lines(text: &[u8]) -> Lines<'_> {
        Lines::new(Box::new(text))
    }

    fn limit(bytes: u64) -> LineLimit {
        LineLimit::of_user(bytes)
    }

    #[test]
    fn lines_end_with_or_without_a_carriage_return() {
        let mut input = lines(b"a\r\nb\n\nc");
        for (number, wanted) in ["a", "b", "", "c"].iter().enumerate() {
            assert_eq!(input.next(limit(10)).unwrap(), Some(wanted.as_bytes()));
            assert_eq!(input.number(), number as u64 + 1);
        }
        assert_eq!(input.next(limit(10)).unwrap(), None);
        assert_eq!(input.bytes(), 7);
    }

    #[test]
    fn a_line_over_the_limit_is_not_taken() {
        for (text, fits) in [("12345\n", true), ("12345\r\n", true), ("12345", true), ("123456\n", false)] {
            assert_eq!(lines(text.as_bytes()).next(limit(5)).is_ok(), fits, "{text:?}");
        }
    }

    /// Zeros without an end, counted.
    struct Endless(Rc<Cell<usize>>);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.set(self.0.get() + buffer.len());
            buffer.fill(0);
            Ok(buffer.len())
        }
    }

    #[test]
    fn an_endless_line_is_read_up_to_the_limit_only() {
        let read = Rc::new(Cell::new(0));
        let input = BufReader::with_capacity(64, Endless(Rc::clone(&read)));
        let mut lines = Lines::new(Box::new(input));
        assert!(lines.next(limit(1000)).is_err());
        assert!(
            read.get() < 1100 && lines.line.capacity() < 4096,
            "{} {}",
            read.get(),
            lines.line.capacity()
        );
    }
}
