//! Draws a frame as lines of text. Knows nothing of the tree but its numbers, and of the terminal only whether it shows colours.

use crate::frame::Frame;
use aether::lsm::{LevelStat, MergeStat};

/// Cells of a bar.
const BAR: usize = 32;
/// Cells of the bar of tombstones.
const TOMBSTONE_BAR: usize = 10;

#[derive(Clone, Copy)]
enum Colour {
    Bold,
    Green,
    Red,
    Yellow,
    Cyan,
}

/// Lines of one frame.
struct Drawing {
    lines: Vec<String>,
    has_colours: bool,
}

/// The lines of a frame, with colours or without any escape sequence.
pub(crate) fn draw(frame: &Frame, has_colours: bool) -> Vec<String> {
    let mut drawing = Drawing { lines: Vec::new(), has_colours };
    drawing.head(frame);
    drawing.memory(frame);
    drawing.written(frame);
    drawing.levels(&frame.stat.levels);
    drawing.merges(&frame.stat.merges, frame.stat.owed_bytes);
    drawing.switches(frame);
    drawing.lines
}

impl Drawing {
    fn paint(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Bold => 1,
            Colour::Green => 32,
            Colour::Red => 31,
            Colour::Yellow => 33,
            Colour::Cyan => 36,
        };
        if self.has_colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, name: &str, text: &str) {
        let name = self.paint(Colour::Bold, &format!("{name:<9}"));
        self.lines.push(format!("{name}{text}").trim_end().to_owned());
    }

    fn head(&mut self, frame: &Frame) {
        let policy = match frame.stat.policy {
            Some((chosen, in_charge)) if chosen != in_charge => format!("{chosen}, {in_charge} in charge"),
            Some((chosen, _)) => chosen.to_string(),
            None => "none".to_owned(),
        };
        let policy = self.paint(Colour::Cyan, &policy);
        self.line("policy", &format!("{policy}   after {:.1} s", frame.elapsed.as_secs_f64()));
        let rate = frame.puts_per_second.last().copied().unwrap_or_default();
        let history = self.paint(Colour::Green, &sparks(&frame.puts_per_second));
        self.line("puts", &format!("{} in all, {} a second {history}", frame.counts.puts, rate));
        self.line("gets", &format!("{} in all, {} a second", frame.counts.gets, frame.gets_per_second));
    }

    fn memory(&mut self, frame: &Frame) {
        let (held, limit) = (frame.stat.memory_bytes, frame.memtable_bytes);
        let colour = if held > 2 * limit { Colour::Red } else { Colour::Green };
        let bar = self.bar(colour, held, limit, BAR);
        let text = format!("{bar} {} of {}, {} rows", size(held), size(limit), frame.stat.memory_rows);
        self.line("memory", &text);
    }

    fn written(&mut self, frame: &Frame) {
        let stat = &frame.stat;
        let times = match stat.write_amplification() {
            Some(times) => format!("{times:.2} bytes to runs for each that was put"),
            None => "nothing to runs yet".to_owned(),
        };
        let (flushed, merged) = (size(stat.flushed_bytes), size(stat.merged_bytes));
        self.line("written", &format!("{times}: {flushed} by flushes, {merged} by merges"));
        if stat.value_bytes > 0 {
            let garbage = stat.value_bytes.saturating_sub(stat.live_value_bytes);
            self.line("values", &format!("{}, {} of it garbage", size(stat.value_bytes), size(garbage)));
        }
    }

    fn levels(&mut self, levels: &[LevelStat]) {
        let largest = levels.iter().map(|level| level.bytes).max().unwrap_or_default();
        self.lines.push(
            self.paint(
                Colour::Bold,
                &format!("level  runs       bytes {:BAR$} tombstones among entries", ""),
            ),
        );
        for (number, level) in levels.iter().enumerate() {
            let bytes = self.bar(Colour::Cyan, level.bytes, largest, BAR);
            let tombstones = self.bar(Colour::Red, level.tombstones, level.entries, TOMBSTONE_BAR);
            let (runs, of) = (level.runs, size(level.bytes));
            self.lines.push(format!(
                "{number:>5} {runs:>5} {of:>11} {bytes} {tombstones} {} of {}",
                level.tombstones, level.entries
            ));
        }
    }

    fn merges(&mut self, merges: &[MergeStat], owed_bytes: u64) {
        if merges.is_empty() {
            self.line("merge", "none in flight");
        }
        merges.iter().for_each(|merge| self.line("merge", &self.merge(merge)));
        self.line("owed", &size(owed_bytes));
    }

    fn merge(&self, merge: &MergeStat) -> String {
        let done = merge.bytes.saturating_sub(merge.left_bytes);
        let percent = (done * 100).checked_div(merge.bytes).unwrap_or(100);
        let bar = self.bar(Colour::Yellow, done, merge.bytes, BAR);
        let of = format!("{percent}% of {}", size(merge.bytes));
        format!("{bar} {of}: {} runs into level {} ({})", merge.runs, merge.target, merge.reason)
    }

    fn switches(&mut self, frame: &Frame) {
        for switch in &frame.stat.switches {
            let why = match switch.puts_of_thousand {
                Some(puts) => format!("{puts} puts among 1000 uses"),
                None => "by call".to_owned(),
            };
            self.line("switched", &format!("from {} to {}: {why}", switch.from, switch.to));
        }
    }

    /// `part` of `whole`, as so many cells of `cells`; never none for more than nothing, and never more than all.
    fn bar(&self, colour: Colour, part: u64, whole: u64, cells: usize) -> String {
        let share = part as f64 / whole.max(1) as f64;
        let full = ((share * cells as f64).round() as usize).clamp(usize::from(part > 0), cells);
        format!("{}{}", self.paint(colour, &"█".repeat(full)), "░".repeat(cells - full))
    }
}

/// A column for each number, as high as it is beside the largest.
fn sparks(numbers: &[u64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let largest = numbers.iter().copied().max().unwrap_or_default().max(1);
    let height = |number: &u64| (*number as f64 / largest as f64 * 7.0).round() as usize;
    numbers.iter().map(|number| HEIGHTS[height(number)]).collect()
}

/// Bytes in the unit that suits them.
fn size(bytes: u64) -> String {
    let (kib, mib) = (1 << 10, 1 << 20);
    match bytes {
        bytes if bytes < kib => format!("{bytes} B"),
        bytes if bytes < mib => format!("{:.1} KiB", bytes as f64 / kib as f64),
        bytes => format!("{:.1} MiB", bytes as f64 / mib as f64),
    }
}
