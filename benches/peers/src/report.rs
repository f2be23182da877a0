//! The document: what was run, how each engine was set, and every cell.

mod machine;
mod table;
mod transactions;

pub use machine::Machine;

use crate::adapters;
use crate::cell::Figures;
use crate::driver::Cell;
use crate::engine::{Failure, Peer, Result};
use crate::workload::{Scale, Task, Workload};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use table::{Table, bytes, ratio, time};

/// What follows this line in the document is not the driver's: it is kept when the document is written again.
pub const NOTES: &str = "<!-- What follows is written by hand and kept. -->";

/// A run and what it found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// How large it was.
    pub scale: Scale,
    /// Where it ran.
    pub machine: Machine,
    /// The engines, in the order of the columns.
    pub engines: Vec<String>,
    /// Every cell.
    pub cells: Vec<Cell>,
}

impl Results {
    /// These figures, but for the workloads that `newer` has.
    ///
    /// # Errors
    /// If the two are of different scales.
    pub fn joined(mut self, newer: Self) -> Result<Self> {
        if self.scale != newer.scale {
            return Err(Failure::from("figures of different scales are not put in one document"));
        }
        self.cells.retain(|cell| newer.cells.iter().all(|newer| newer.workload != cell.workload));
        self.cells.extend(newer.cells);
        Ok(self)
    }

    fn cell(&self, workload: &str, engine: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.workload == workload && cell.engine == engine)
    }

    /// Who ran any of `workloads`, in the order of the columns.
    fn columns(&self, workloads: &[&Workload]) -> Vec<&str> {
        let mut columns = Vec::new();
        let ran = |cell: &&Cell| workloads.iter().any(|workload| workload.name == cell.workload);
        for cell in self.cells.iter().filter(ran) {
            if !columns.contains(&&*cell.engine) {
                columns.push(&*cell.engine);
            }
        }
        columns
    }

    fn figures(&self, workload: &str, engine: &str) -> Option<&Figures> {
        self.cell(workload, engine)?.figures.as_ref()
    }

    fn peers(&self) -> Vec<&'static Peer> {
        self.engines.iter().filter_map(|name| adapters::find(name).ok()).collect()
    }

    /// Workloads that some cell has, in the order of the document.
    fn workloads(&self) -> Vec<Workload> {
        let ran = |workload: &Workload| self.cells.iter().any(|cell| cell.workload == workload.name);
        crate::workload::all().into_iter().filter(ran).collect()
    }
}

/// The whole document.
pub fn document(results: &Results) -> String {
    let mut text = String::from("# Performance, beside other engines\n\n");
    text.push_str(&preface(results));
    text.push_str(&settings(results));
    let workloads = results.workloads();
    let mut groups: Vec<&str> = workloads.iter().map(|workload| workload.group).collect();
    groups.dedup();
    for group in groups {
        let own: Vec<&Workload> = workloads.iter().filter(|workload| workload.group == group).collect();
        text.push_str(&section(results, group, &own));
    }
    text.push_str(&sizes(results, &workloads));
    text.push_str(&losses(results, &workloads));
    text.push_str(&failures(results));
    text
}

fn preface(results: &Results) -> String {
    let Scale { rows, load_rows, long_rows, seconds, sustained_seconds, rounds, cache_mib } = results.scale;
    format!(
        "Written by the driver; what stands below the mark at the end is written by hand and kept. The command, which \
         checks every adapter against a model first:\n\n```\ncargo run --release --manifest-path benches/peers/Cargo.toml \
         -- all --rows {rows} --load-rows {load_rows} --long-rows {long_rows} --seconds {seconds} --sustained-seconds {sustained_seconds} --rounds \
         {rounds} --cache-mib {cache_mib} --out docs/performance.md\n```\n\nWithout sizes it takes upwards of an hour, with \
         `--quick` about three minutes; `--json FILE` keeps the figures, `--features sled,mdbx,canopydb,rocksdb` adds \
         engines.\n\n\
         Machine: {}.\n\n\
         {rows} rows of 20 B keys and 100 B values that do not compress, loaded in random order; loads write \
         {load_rows}, the long one {long_rows}. A cell measures {seconds} s ({sustained_seconds} s of sustained puts) after warming up, in a process \
         of its own. Figures are medians of {rounds} rounds in which the engines take turns. Cache: {cache_mib} MiB each. \
         **Bold**: the best of the row.\n\n\
         Times are per operation: on the wall, for the whole process (two threads at half the time each give half the \
         figure), and in brackets of all its threads on a processor, background work included. A get, a put \
         and each step of a mix is an operation and a transaction; in mix F a read and an update in turn. Gets copy the \
         value out. Bytes written are what the process sent to storage until the store was closed, per byte of keys and \
         values.\n\n",
        results.machine
    )
}

fn settings(results: &Results) -> String {
    let mut table =
        Table::text(&["engine", "durable commits", "sustained", "all else", "checksums", "cache"]);
    for peer in results.peers() {
        let name = format!("{} {}", peer.name, peer.version());
        table.row(&[&name, peer.each, peer.every_second, peer.never, peer.checksums, peer.cache]);
    }
    format!(
        "## Settings\n\nWhat a commit waits for, by kind of workload; everything else as the engine has it.\n\n{table}\n"
    )
}

fn section(results: &Results, group: &str, workloads: &[&Workload]) -> String {
    let mut text = format!("## {group}\n\n");
    if let Some(note) = note(group) {
        _ = writeln!(text, "{note}\n");
    }
    text.push_str(&times(results, workloads));
    if workloads.iter().any(|workload| workload.is_transactional()) {
        text.push_str(&transactions::tables(results, workloads));
    }
    let timed: Vec<_> = workloads.iter().filter(|workload| workload.has_latency()).copied().collect();
    if !timed.is_empty() {
        _ = write!(text, "Latency, p50 / p99 / p99.9 / max:\n\n{}", latencies(results, &timed));
    }
    let long: Vec<_> = workloads.iter().filter(|workload| workload.task == Task::LongLoad).copied().collect();
    if !long.is_empty() {
        // The higher the better: its inverse is least where it is best.
        let rank = |figures: &Figures| figures.worst_second.map(|worst| 1.0 / worst);
        let table = compared(results, &long, rank, |figures| figures.worst_second.map(ratio));
        _ = write!(text, "Rows of the worst second, for one of the mean:\n\n{table}");
    }
    let writing: Vec<_> = workloads.iter().filter(|workload| workload.has_writes()).copied().collect();
    if !writing.is_empty() {
        let written = |figures: &Figures| figures.written_per_byte;
        let table = compared(results, &writing, written, |figures| figures.written_per_byte.map(ratio));
        _ = write!(text, "Bytes written per byte of the user:\n\n{table}");
    }
    text
}

fn note(group: &str) -> Option<&'static str> {
    match group {
        "Four times the cache" => Some(
            "The cache is a quarter of the set. Aether reads and writes its files past the page cache, so that its misses \
             go to the device; the misses of the others are served by the page cache, which nothing bounds here.",
        ),
        "Open after SIGKILL" => Some(
            "A process loads, syncs and is killed; another opens the store and gets a row. Then all rows are counted.",
        ),
        "Long load" => Some(
            "Into an empty store, in random order, one row a transaction; what is committed is made durable every second.",
        ),
        "Transactions" => Some(transactions::NOTE),
        "YCSB" => Some("Inserts of D and E land between the loaded rows."),
        _ => None,
    }
}

fn times(results: &Results, workloads: &[&Workload]) -> String {
    let shown = |figures: &Figures| Some(format!("{} ({})", time(figures.wall_ns), time(figures.cpu_ns)));
    compared(results, workloads, |figures| Some(figures.wall_ns), shown)
}

fn latencies(results: &Results, workloads: &[&Workload]) -> String {
    let shown = |figures: &Figures| {
        let of = figures.latency?;
        Some([of.p50_ns, of.p99_ns, of.p999_ns, of.max_ns].map(time).join(" / "))
    };
    compared(results, workloads, |figures| Some(figures.latency?.p99_ns), shown)
}

fn sizes(results: &Results, workloads: &[Workload]) -> String {
    let is_alone = |workload: &&Workload| workload.threads == 1 && !workload.is_transactional();
    let alone: Vec<&Workload> = workloads.iter().filter(is_alone).collect();
    if alone.is_empty() {
        return String::new();
    }
    let shown = |figures: &Figures| Some(bytes(figures.memory_bytes));
    let memory = compared(results, &alone, |figures| Some(figures.memory_bytes), shown);
    let is_changed = |workload: &&Workload| workload.has_writes() || workload.name == "get uniform";
    let changed: Vec<&Workload> = alone.into_iter().filter(is_changed).collect();
    let shown = |figures: &Figures| Some(bytes(figures.file_bytes));
    let files = compared(results, &changed, |figures| Some(figures.file_bytes), shown);
    format!(
        "## Peak memory\n\nOf the process, mapped files included (VmHWM); one thread.\n\n{memory}## File size\n\nOnce the \
         store is closed; that of the gets is the loaded set's.\n\n{files}"
    )
}

/// A table of workloads by engines; the least of each row is bold.
fn compared(
    results: &Results,
    workloads: &[&Workload],
    rank: impl Fn(&Figures) -> Option<f64>,
    shown: impl Fn(&Figures) -> Option<String>,
) -> String {
    let (mut head, columns) = (vec![""], results.columns(workloads));
    head.extend(&columns);
    let mut table = Table::figures(&head);
    for workload in workloads {
        let of = |engine: &str| results.figures(&workload.name, engine);
        let ranks = columns.iter().filter_map(|engine| rank(of(engine)?));
        let best = ranks.min_by(f64::total_cmp);
        let cell = |engine: &&str| {
            let Some(figures) = of(engine) else { return String::from("failed") };
            match shown(figures) {
                Some(text) if rank(figures) == best => format!("**{text}**"),
                other => other.unwrap_or_else(|| String::from("-")),
            }
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        let mut row = vec![workload.name.as_str()];
        row.extend(cells.iter().map(String::as_str));
        table.row(&row);
    }
    format!("{table}\n")
}

/// Where Aether is not the best, on the wall.
fn losses(results: &Results, workloads: &[Workload]) -> String {
    let mut table = Table::figures(&["", "aether", "the best", "wall", "CPU"]);
    let shown = |figures: &Figures| format!("{} ({})", time(figures.wall_ns), time(figures.cpu_ns));
    for workload in workloads {
        let name = if workload.is_transactional() { transactions::OWN } else { "aether" };
        let Some(own) = results.figures(&workload.name, name) else { continue };
        let columns = results.columns(&[workload]);
        let others = columns.iter().filter(|engine| !engine.starts_with("aether"));
        let found = others.filter_map(|engine| Some((engine, results.figures(&workload.name, engine)?)));
        let best = found.min_by(|(_, one), (_, other)| one.wall_ns.total_cmp(&other.wall_ns));
        let Some((engine, best)) = best.filter(|(_, best)| best.wall_ns < own.wall_ns) else { continue };
        let [wall, cpu] = [own.wall_ns / best.wall_ns, own.cpu_ns / best.cpu_ns].map(ratio);
        table.row(&[&workload.name, &shown(own), &format!("{engine} {}", shown(best)), &wall, &cpu]);
    }
    format!(
        "## Where Aether loses\n\nBeside the one that is best on the wall, and how many times more Aether takes; of transactions, serializable ones.\n\n{table}\n"
    )
}

fn failures(results: &Results) -> String {
    let failed = results.cells.iter().filter_map(|cell| Some((cell, cell.failure.as_ref()?)));
    let lines: String =
        failed.map(|(cell, why)| format!("- {}, {}: {why}\n", cell.workload, cell.engine)).collect();
    if lines.is_empty() { lines } else { format!("## Cells that failed\n\n{lines}\n") }
}

#[cfg(test)]
mod tests;
