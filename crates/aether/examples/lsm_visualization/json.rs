//! A frame as a line of JSON.

use crate::frame::Frame;
use serde_json::{Value, json};

/// The line, without its end.
pub(crate) fn line(frame: &Frame) -> String {
    let stat = &frame.stat;
    let levels: Vec<Value> = stat
        .levels
        .iter()
        .map(|level| {
            json!({
                "runs": level.runs,
                "bytes": level.bytes,
                "entries": level.entries,
                "tombstones": level.tombstones,
            })
        })
        .collect();
    let merges: Vec<Value> = stat
        .merges
        .iter()
        .map(|merge| {
            json!({
                "reason": merge.reason.to_string(),
                "level": merge.level,
                "runs": merge.runs,
                "target": merge.target,
                "bytes": merge.bytes,
                "left_bytes": merge.left_bytes,
            })
        })
        .collect();
    let switches: Vec<Value> = stat
        .switches
        .iter()
        .map(|switch| {
            json!({
                "from": switch.from.to_string(),
                "to": switch.to.to_string(),
                "puts_of_thousand": switch.puts_of_thousand,
            })
        })
        .collect();
    json!({
        "elapsed_ms": frame.elapsed.as_millis() as u64,
        "policy": stat.policy.map(|(chosen, _)| chosen.to_string()),
        "in_charge": stat.policy.map(|(_, in_charge)| in_charge.to_string()),
        "switches": switches,
        "puts": frame.counts.puts,
        "puts_per_second": frame.puts_per_second.last(),
        "gets": frame.counts.gets,
        "gets_per_second": frame.gets_per_second,
        "memtable_bytes": frame.memtable_bytes,
        "memory_rows": stat.memory_rows,
        "memory_bytes": stat.memory_bytes,
        "levels": levels,
        "merges": merges,
        "owed_bytes": stat.owed_bytes,
        "value_bytes": stat.value_bytes,
        "live_value_bytes": stat.live_value_bytes,
        "put_bytes": stat.put_bytes,
        "flushed_bytes": stat.flushed_bytes,
        "merged_bytes": stat.merged_bytes,
        "write_amplification": stat.write_amplification(),
    })
    .to_string()
}
