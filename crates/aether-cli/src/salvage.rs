//! `salvage`: writes out all that is sound of a damaged home, and lists what is not.

use crate::arguments::{Common, Format, Salvage};
use crate::dump::rows::{Form, RowWriter};
use crate::dump::target::Target;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::{home, show};
use aether::vfs::Env;
use aether::{Error, ErrorKind, Lost, Options, SalvageReport, Salvaged};
use serde_json::{Value, json};
use std::path::PathBuf;

pub(crate) fn run(common: &Common, arguments: &Salvage) -> Outcome {
    let home = home::existing_path(common)?;
    std::fs::create_dir(&arguments.output)
        .map_err(|error| Failure::system(&format!("creating {}", arguments.output.display()), &error))?;
    let form = Form::of(arguments.output_format, None);
    let mut writer = Writer { form, arguments, open: None, files: Vec::new(), lost: Vec::new() };
    let mut failure = None;
    let options = Options { background: false, create: false, ..Options::default() };
    let outcome = aether::salvage(&Env::real(), &home, options, &mut |found| {
        writer.take(found).map_err(|cause| {
            failure = Some(cause);
            Error::new(ErrorKind::Io, "the output cannot be written")
        })
    });
    let report = match (outcome, failure) {
        (_, Some(failure)) => return Err(failure),
        (Err(error), None) => return Err(home::refused(error, &home)),
        (Ok(report), None) => report,
    };
    writer.close()?;
    writer.tell(&report, &mut Output::new(common.format))?;
    let is_whole = report.lost == 0 && report.unopened.is_none();
    Ok(if is_whole { Exit::Done } else { Exit::Damaged })
}

/// Writes a file for each keyspace and keeps what is lost.
struct Writer<'a> {
    form: Form,
    arguments: &'a Salvage,
    open: Option<Target>,
    files: Vec<(String, PathBuf)>,
    lost: Vec<Lost>,
}

impl Writer<'_> {
    fn take(&mut self, found: Salvaged<'_>) -> Outcome<()> {
        let form = self.form;
        match found {
            Salvaged::Keyspace(name) => {
                self.close()?;
                let path = self.arguments.output.join(self.file_name(name));
                let target = self.open.insert(Target::open(Some(&path))?);
                target.write(|out| RowWriter::new(out, form).begin(None))?;
                self.files.push((name.to_owned(), path));
                Ok(())
            }
            Salvaged::Row { key, value } => match &mut self.open {
                Some(target) => target.write(|out| RowWriter::new(out, form).row(key, value)),
                None => Ok(()),
            },
            Salvaged::Lost(lost) => {
                self.lost.push(lost.clone());
                Ok(())
            }
        }
    }

    fn close(&mut self) -> Outcome<()> {
        let Some(mut target) = self.open.take() else { return Ok(()) };
        let form = self.form;
        target.write(|out| RowWriter::new(out, form).end())?;
        target.finish()
    }

    /// A keyspace's name as a file name: what is not a letter, digit, `-`, `_` or `.` as `%` and two digits.
    fn file_name(&self, keyspace: &str) -> String {
        let mut name = String::new();
        for byte in keyspace.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
                b'.' if !name.is_empty() => name.push('.'),
                _ => name.push_str(&format!("%{byte:02x}")),
            }
        }
        // The longest name that every file system takes, with room for the ending.
        name.truncate(200);
        let twin =
            self.files.iter().filter(|(_, path)| path.file_stem().is_some_and(|stem| *stem == *name)).count();
        let number = if twin > 0 { format!("-{}", self.files.len()) } else { String::new() };
        format!("{name}{number}.{}", self.arguments.output_format.extension())
    }

    fn tell(&self, report: &SalvageReport, output: &mut Output) -> Outcome<()> {
        match output.format() {
            Format::Json => output.json(&self.json(report))?,
            Format::Plain | Format::Table => self.plain(report, output)?,
        }
        output.flush()
    }

    fn json(&self, report: &SalvageReport) -> Value {
        let key = |key: &Option<Vec<u8>>| key.as_deref().map(show::json_bytes);
        let lost = self.lost.iter().map(|lost| {
            json!({
                "keyspace": lost.keyspace, "page": lost.page, "from": key(&lost.from), "to": key(&lost.to),
                "what": lost.what,
            })
        });
        let files = self.files.iter().map(|(name, path)| json!({ "keyspace": name, "file": path }));
        json!({
            "rows": report.rows, "doubtful": report.doubtful, "unopened": report.unopened,
            "files": files.collect::<Vec<_>>(), "lost": lost.collect::<Vec<_>>(),
        })
    }

    fn plain(&self, report: &SalvageReport, output: &mut Output) -> Outcome<()> {
        let (rows, spaces) = (show::count(report.rows), self.files.len());
        let directory = self.arguments.output.display();
        output.line(&format!("salvage: {rows} rows of {spaces} keyspaces are in {directory}"))?;
        if let Some(why) = &report.unopened {
            output.line(&format!("the home cannot be opened: {why}"))?;
            let doubtful = show::count(report.doubtful);
            output.line(&format!(
                "read without its log: the newest commits may be missing, {doubtful} rows may not have been committed"
            ))?;
        }
        self.lost.iter().try_for_each(|lost| output.line(&describe(lost)))
    }
}

fn describe(lost: &Lost) -> String {
    let keyspace = lost.keyspace.as_deref().map_or(String::new(), |name| format!(" of `{name}`"));
    let page = lost.page.map_or(String::new(), |page| format!(" (page {page})"));
    let keys = match (&lost.from, &lost.to) {
        (None, None) => "keys".to_owned(),
        (Some(from), None) => format!("keys from {}", show::cell(from)),
        (None, Some(to)) => format!("keys below {}", show::cell(to)),
        (Some(from), Some(to)) => format!("keys from {} and below {}", show::cell(from), show::cell(to)),
    };
    format!("lost: {keys}{keyspace}{page}: {}", lost.what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::OutputFormat;
    use std::path::Path;

    #[test]
    fn file_names_are_safe_and_differ() {
        let arguments = Salvage { output: Path::new("out").into(), output_format: OutputFormat::Tsv };
        let form = Form::Tsv;
        let mut writer =
            Writer { form, arguments: &arguments, open: None, files: Vec::new(), lost: Vec::new() };
        for (keyspace, file) in [
            ("default", "default.tsv"),
            ("../etc/passwd", "%2e.%2fetc%2fpasswd.tsv"),
            ("..", "%2e..tsv"),
            ("a b\u{e9}", "a%20b%c3%a9.tsv"),
        ] {
            assert_eq!(writer.file_name(keyspace), file);
        }
        let long = "x".repeat(255);
        let first = writer.file_name(&long);
        assert!(first.len() < 255);
        writer.files.push((long.clone(), Path::new("out").join(&first)));
        assert_ne!(writer.file_name(&long), first);
    }
}
