//! Rust text as the rules see it: code alone, with comments, literals and test modules blanked.
//!
//! Blanking keeps every newline, so that line numbers stay true. The scanner knows Rust's literals well enough
//! not to lose its place; it does not parse.

/// The code of `text`: comments and the contents of string and character literals become spaces.
pub fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (length, blank) = token(rest, out.chars().next_back());
        let length = length.max(next.len_utf8());
        let (head, tail) = rest.split_at(length);
        if blank {
            out.extend(head.chars().map(blanked))
        } else {
            out.push_str(head)
        }
        rest = tail;
    }
    out
}

/// `code` without the inline modules under a `cfg` that names `test`. Relies on rustfmt's layout.
pub fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut lines = code.lines().peekable();
    let mut until: Option<String> = None;
    while let Some(line) = lines.next() {
        if let Some(end) = &until {
            if line == end {
                until = None;
            }
        } else if is_test_cfg(line) && lines.peek().is_some_and(|next| opens_module(next)) {
            until = Some(format!("{}}}", &line[..line.len() - line.trim_start().len()]));
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// Whether `code` names `word`, bounded by characters that cannot be part of an identifier.
pub fn names(code: &str, word: &str) -> bool {
    line_naming(code, word).is_some()
}

/// The number, from 1, of the first line of `code` that names `word`.
pub fn line_naming(code: &str, word: &str) -> Option<usize> {
    code.lines().position(|line| line_names(line, word)).map(|index| index + 1)
}

/// The line of `code` that names `std::module` or imports it through `use std::{..}`.
pub fn line_naming_std(code: &str, module: &str) -> Option<usize> {
    line_naming(code, &format!("std::{module}")).or_else(|| line_in_group(code, module))
}

fn line_in_group(code: &str, module: &str) -> Option<usize> {
    let named = |start: usize| group_names(&code[start..], module);
    let (start, _) = code.match_indices("std::{").find(|(start, open)| named(start + open.len()))?;
    Some(code[..start].matches('\n').count() + 1)
}

/// Whether the group that starts `text`, just inside its brace, has `module` at its own depth.
fn group_names(text: &str, module: &str) -> bool {
    let mut depth = 1;
    let mut own = String::new();
    for next in text.chars() {
        match next {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 1 => own.push(next),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    own.split(',').any(|item| item.trim().split([':', ' ']).next() == Some(module))
}

fn line_names(line: &str, word: &str) -> bool {
    let part = |next: char| next.is_alphanumeric() || next == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let longer = before.is_some_and(part) || (word.ends_with(part) && after.is_some_and(part));
        !longer
    })
}

fn is_test_cfg(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[cfg(") && line_names(line, "test") && !line.contains("not(test")
}

fn opens_module(line: &str) -> bool {
    let line = line.trim_start();
    (line.starts_with("mod ") || line.starts_with("pub mod ")) && line.ends_with('{')
}

fn blanked(next: char) -> char {
    if next == '\n' { '\n' } else { ' ' }
}

/// The length in bytes of the comment or literal that starts `rest`, and whether there is one.
fn token(rest: &str, before: Option<char>) -> (usize, bool) {
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), true)
    } else if rest.starts_with("/*") {
        (block_comment(rest), true)
    } else if rest.starts_with('"') {
        (quoted(rest, '"'), true)
    } else if let Some(length) = raw_string(rest, before) {
        (length, true)
    } else if rest.starts_with('\'') && is_character(rest) {
        (quoted(rest, '\''), true)
    } else {
        (0, false)
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let step = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, next) in rest.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if next == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|last| (last.is_alphanumeric() && last != 'b' && last != 'c') || last == '_') {
        return None;
    }
    let hashes = rest.strip_prefix('r')?.bytes().take_while(|next| *next == b'#').count();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let found = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(2 + hashes + found)
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_character(rest: &str) -> bool {
    let mut inside = rest.chars().skip(1);
    match inside.next() {
        Some('\\') => true,
        Some(_) => inside.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let text = "a // unsafe\n/* unsafe\n/* nested */ unsafe */ b\n\"unsafe \\\" unsafe\" c\n";
        let code = code(text);
        assert!(!names(&code, "unsafe"), "{code}");
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(["a", "b", "c"].iter().all(|word| names(&code, word)));
    }

    #[test]
    fn raw_strings_characters_and_lifetimes_do_not_lose_the_place() {
        let text = "r#\"unsafe \" unsafe\"# x br\"unsafe\" '\"' y<'a>(b: &'a str, '\\'') unsafe";
        let code = code(text);
        assert_eq!(code.matches("unsafe").count(), 1, "{code}");
        assert!(names(&code, "x") && names(&code, "str"));
    }

    #[test]
    fn test_modules_are_dropped_and_what_follows_them_is_kept() {
        let text = "#[cfg(test)]\nuse a::b;\n#[cfg(all(test, not(loom)))]\nmod tests {\n    use std::fs;\n}\nuse c;\n";
        let code = without_tests(text);
        assert!(!names(&code, "fs") && names(&code, "b"));
        assert_eq!(line_naming(&code, "c"), Some(7));
    }

    #[test]
    fn code_for_builds_without_tests_is_kept() {
        let text = "#[cfg(not(test))]\nmod real {\n    use std::fs;\n}\n";
        assert!(names(&without_tests(text), "std::fs"));
    }

    #[test]
    fn a_word_is_bounded() {
        assert!(!names("forbid(unsafe_code)", "unsafe"));
        assert!(!names("mystd::fs", "std::fs"));
        assert!(names("unsafe{", "unsafe") && names("loom::thread", "loom::"));
    }

    #[test]
    fn grouped_imports_are_seen_at_their_own_depth() {
        assert_eq!(line_naming_std("\nuse std::{fs, io};", "fs"), Some(2));
        assert_eq!(line_naming_std("use std::{\n    io,\n    sync::Arc,\n};", "sync"), Some(1));
        assert_eq!(line_naming_std("use std::{os::{fs, x}, io};", "fs"), None);
    }
}
