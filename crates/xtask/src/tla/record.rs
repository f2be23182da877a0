//! `tla/states.txt`: how many distinct states each model has, and whether both checkers have counted them.
//!
//! ```text
//! FOLDER/MODEL STATES both
//! FOLDER/MODEL STATES tlc WHY NOT THE OTHER
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::model::Protocol;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) states: u64,
    /// Or why the second checker does not count them.
    pub(crate) second: Result<(), String>,
}

/// The file.
#[derive(Debug, Default)]
pub(crate) struct Record {
    comments: Vec<String>,
    lines: BTreeMap<String, Counted>,
}

impl Record {
    /// Reads the file.
    ///
    /// # Errors
    /// The line that is wrong, and how.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut record = Self::default();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                record.comments.push(line.into());
            } else if !line.is_empty() {
                let (name, counted) = entry(line).map_err(|error| format!("line {}: {error}", index + 1))?;
                if record.lines.insert(name.clone(), counted).is_some() {
                    return Err(format!("line {}: {name} stands there twice", index + 1));
                }
            }
        }
        Ok(record)
    }

    /// The line of a model, `FOLDER/MODEL`.
    pub(crate) fn get(&self, name: &str) -> Option<&Counted> {
        self.lines.get(name)
    }

    /// Whether the second checker counts this model too. A model that is not there yet is not tried.
    pub(crate) fn wants_second(&self, protocol: &str, model: &str) -> bool {
        self.get(&format!("{protocol}/{model}")).is_some_and(|counted| counted.second.is_ok())
    }

    /// Writes a count down.
    pub(crate) fn set(&mut self, name: &str, states: u64) {
        let new = || Counted { states, second: Err("not tried yet".into()) };
        self.lines.entry(name.into()).or_insert_with(new).states = states;
    }

    /// The lines of which no protocol has the model.
    pub(crate) fn without_model(&self, protocols: &[Protocol]) -> Vec<String> {
        let has = |name: &str| {
            let (protocol, model) = name.split_once('/').unwrap_or((name, ""));
            protocols.iter().any(|known| known.name == protocol && known.model(model).is_ok())
        };
        self.lines.keys().filter(|name| !has(name)).cloned().collect()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        fs::write(path, self.text()).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn text(&self) -> String {
        let lines = self.lines.iter().map(|(name, counted)| match &counted.second {
            Ok(()) => format!("{name} {} both", counted.states),
            Err(why) => format!("{name} {} tlc {why}", counted.states),
        });
        self.comments.iter().cloned().chain(lines).map(|line| line + "\n").collect()
    }
}

fn entry(line: &str) -> Result<(String, Counted), String> {
    let wrong = || format!("{line:?} is not `FOLDER/MODEL STATES both` or `.. tlc REASON`");
    let mut words = line.splitn(4, ' ');
    let name = words.next().filter(|name| name.contains('/')).ok_or_else(wrong)?;
    let states = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let second = match (words.next(), words.next()) {
        (Some("both"), None) => Ok(()),
        (Some("tlc"), Some(why)) => Err(why.to_string()),
        _ => return Err(wrong()),
    };
    Ok((name.to_string(), Counted { states, second }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# counts\na/big 12345 tlc too slow\na/quick 12 both\n";

    #[test]
    fn what_was_read_is_written() {
        let record = Record::parse(TEXT).unwrap();
        assert_eq!(record.get("a/quick"), Some(&Counted { states: 12, second: Ok(()) }));
        assert!(record.wants_second("a", "quick") && !record.wants_second("a", "big"));
        assert!(!record.wants_second("a", "new"));
        assert_eq!(record.text(), TEXT);
    }

    #[test]
    fn a_new_count_keeps_who_counts() {
        let mut record = Record::parse(TEXT).unwrap();
        record.set("a/quick", 13);
        record.set("b/quick", 1);
        assert_eq!(record.get("a/quick").unwrap().second, Ok(()));
        assert_eq!(record.get("b/quick").unwrap().second, Err("not tried yet".into()));
    }

    #[test]
    fn bad_lines_are_refused() {
        for line in
            ["a/quick", "a/quick many both", "quick 12 both", "a/quick 12 tlc", "a/quick 12 both more"]
        {
            assert!(Record::parse(line).unwrap_err().starts_with("line 1: "), "{line}");
        }
        let twice = Record::parse("a/q 1 both\na/q 2 both\n").unwrap_err();
        assert_eq!(twice, "line 2: a/q stands there twice");
    }

    #[test]
    fn a_line_without_its_model_is_told() {
        let record = Record::parse(TEXT).unwrap();
        assert_eq!(record.without_model(&[]), ["a/big", "a/quick"]);
    }
}
