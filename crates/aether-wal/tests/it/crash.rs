//! Power cuts at every operation of small scripts, under every policy, and again while the restart repairs; then faults.

use crate::history::{History, Rng, Script, cut_short};
use crate::store::{HOME, Store, create, small};
use aether_sim::{CrashPolicy, Errno, Fault, OpKind, OpRecord, Sim};
use aether_types::ErrorKind;

fn script(seed: u64, streams: usize) -> Script {
    Script { seed, streams, steps: 40, close: false, body_bytes: 3000, checkpoints: 12 }
}

const END: u64 = u64::MAX;

fn machine() -> Sim {
    let sim = Sim::new(1);
    create(&sim.env());
    sim
}

/// Lives on a copy of `sim` until operation `cut`; returns the machine at that moment.
fn lived(sim: &Sim, history: &mut History, script: Script, cut: u64) -> Sim {
    let sim = sim.fork();
    sim.cut_power_at(cut);
    cut_short(history.live(&sim.env(), script));
    sim
}

/// Every image of a machine whose power is cut: what each policy keeps, and what a mere kill does.
fn images(sim: &Sim, seed: u64) -> impl Iterator<Item = Sim> {
    let killed = sim.kill_image();
    CrashPolicy::all(seed).into_iter().map(|policy| sim.crash_image(policy)).chain([killed])
}

/// Cuts the first life at each operation, the second, which must repair, at a random one, and judges a third.
fn cut_everywhere(script: Script) {
    let sim = machine();
    let mut rng = Rng(script.seed);
    for cut in 0.. {
        let mut first = History::default();
        let dead = lived(&sim, &mut first, script, cut);
        for image in images(&dead, cut) {
            let mut second = first.clone();
            let again = Script { seed: rng.below(END), steps: 12, ..script };
            let dead = lived(&image, &mut second, again, rng.below(60));
            for image in [dead.crash_image(CrashPolicy::Mixed { seed: rng.below(END) }), dead.kill_image()] {
                let mut third = second.clone();
                third.live(&image.env(), again).unwrap();
                third.live(&image.env(), Script { steps: 0, ..script }).unwrap();
            }
        }
        if !dead.is_off() {
            break;
        }
    }
}

#[test]
fn one_stream_survives_every_power_cut() {
    cut_everywhere(script(11, 1));
}

#[test]
fn two_streams_survive_every_power_cut() {
    cut_everywhere(script(12, 2));
}

#[test]
fn four_streams_survive_every_power_cut() {
    cut_everywhere(Script { steps: 24, ..script(13, 4) });
}

#[test]
fn long_records_over_several_segments_survive_every_power_cut() {
    cut_everywhere(Script { body_bytes: 16_000, ..script(14, 2) });
}

#[test]
fn truncation_and_recycling_survive_every_power_cut() {
    cut_everywhere(Script { body_bytes: 16_000, checkpoints: 3, steps: 70, ..script(15, 1) });
}

/// A checkpoint renames a file, fails to remove another, and does not come to sync the directory; the next open uses the file
/// again; then the power goes, and its old name comes back. Found by failing calls of a whole store.
#[test]
fn a_name_that_was_taken_away_and_not_synced_may_come_back() {
    let (sim, config) = (machine(), small(1));
    let store = Store::open(&sim.env(), &config).unwrap();
    for _ in 0..40 {
        store.commit(&[7; 8000]).unwrap();
    }
    sim.inject(Fault::FailOp { nth: 0, kind: OpKind::Remove, error: Errno::Eio, sticky: true });
    store.checkpoint().unwrap();
    store.close().unwrap();
    let log = sim.log();
    let is_log = |op: &OpRecord| op.path.starts_with(HOME);
    let since_sync = log.iter().rev().filter(|op| is_log(op)).take_while(|op| op.kind != OpKind::SyncDir);
    let renamed = since_sync.into_iter().any(|op| op.kind == OpKind::Rename);
    assert!(renamed, "this test is about names that are not durable");
    sim.heal();
    for cut in 0..40 {
        let dead = sim.fork();
        dead.cut_power_at(cut);
        let _ = Store::open(&dead.env(), &config).and_then(|store| store.commit(b"next"));
        Store::open(&dead.crash_image(CrashPolicy::LoseAll).env(), &config).unwrap();
    }
}

/// Crashes during the restart after a crash, again and again: every operation of every repair.
#[test]
fn restarts_that_never_finish_lose_nothing() {
    let sim = machine();
    for seed in 0..6 {
        let mut history = History::default();
        let mut dead = lived(&sim, &mut history, script(seed, 2), 70 + seed * 9);
        for cut in 0..70 {
            let image = if cut % 3 == 0 {
                dead.kill_image()
            } else {
                dead.crash_image(CrashPolicy::Mixed { seed: cut })
            };
            dead = lived(&image, &mut history, Script { steps: 3, ..script(cut, 2) }, cut);
        }
        history
            .live(&dead.crash_image(CrashPolicy::LoseAll).env(), Script { close: true, ..script(3, 2) })
            .unwrap();
        assert!(history.acknowledged() > 0);
    }
}

/// Many lives, random cuts.
#[test]
fn many_lives() {
    for seed in 0..40 {
        let mut rng = Rng(seed);
        let mut history = History::default();
        let mut sim = machine();
        for _ in 0..12 {
            let script = Script {
                seed: rng.below(END),
                streams: 1 + rng.below(4) as usize,
                steps: rng.below(60),
                close: rng.below(3) == 0,
                body_bytes: 1 + rng.below(12_000),
                checkpoints: 4 + rng.below(20),
            };
            let dead = lived(&sim, &mut history, script, rng.below(200));
            let policies = CrashPolicy::all(rng.below(END));
            let pick = rng.below(policies.len() as u64 + 1) as usize;
            sim = policies.get(pick).map_or_else(|| dead.kill_image(), |policy| dead.crash_image(*policy));
        }
        history.live(&sim.env(), Script { steps: 0, ..script(0, 1) }).unwrap();
    }
}

/// R2: whatever fails, nothing is acknowledged that a crash loses.
#[test]
fn failed_operations_never_cost_an_acknowledged_record() {
    let sim = machine();
    let kinds = [
        OpKind::Write,
        OpKind::Sync,
        OpKind::Create,
        OpKind::Rename,
        OpKind::SyncDir,
        OpKind::Open,
        OpKind::Any,
    ];
    let mut failures = 0;
    for kind in kinds {
        for nth in 0..45 {
            let error = [Errno::Eio, Errno::Enospc, Errno::Emfile][nth as usize % 3];
            let fault = Fault::FailOp { nth, kind, error, sticky: nth % 2 == 0 };
            failures += usize::from(fails_and_comes_back(&sim, fault, nth));
        }
    }
    for nth in 0..30 {
        failures += usize::from(fails_and_comes_back(&sim, Fault::FailSyncDropsDirty { nth }, nth));
        failures += usize::from(fails_and_comes_back(&sim, Fault::ShortWrite { nth }, nth));
        failures +=
            usize::from(fails_and_comes_back(&sim, Fault::DiskFull { bytes_left: nth * 16_384 }, nth));
    }
    assert!(failures > 150, "{failures}");
}

fn fails_and_comes_back(sim: &Sim, fault: Fault, seed: u64) -> bool {
    let sim = sim.fork();
    sim.inject(fault);
    let mut history = History::default();
    let script = Script { body_bytes: 9000, ..script(seed, 2) };
    let outcome = history.live(&sim.env(), script);
    let failed = outcome.is_err();
    cut_short(outcome);
    sim.heal();
    for image in images(&sim, seed) {
        let mut history = history.clone();
        history.live(&image.env(), Script { steps: 10, ..script }).unwrap();
        history.live(&image.env(), Script { steps: 0, ..script }).unwrap();
    }
    failed
}

/// Writes that the device loses or puts elsewhere are noticed, at the latest by the clean end.
#[test]
fn lost_and_misdirected_writes_are_corruption_or_harmless() {
    let run = Script { close: true, ..script(21, 2) };
    let sim = machine().fork();
    cut_short(History::default().live(&sim.env(), run));
    let writes: Vec<_> = sim.log().into_iter().filter(|op| op.kind == OpKind::Write).collect();
    let mut seen = 0;
    for (nth, op) in writes.iter().enumerate().filter(|(_, op)| op.path.to_string_lossy().contains("log-")) {
        for fault in [Fault::LoseWrite { nth: nth as u64 }, Fault::Misdirect { nth: nth as u64 }] {
            let sim = machine();
            sim.inject(fault);
            let mut history = History::default();
            history.live(&sim.env(), run).unwrap();
            match history.live(&sim.env(), Script { steps: 0, ..run }) {
                Ok(()) => {}
                Err(error) => {
                    seen += 1;
                    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}, {op}");
                }
            }
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn a_failed_read_is_an_error_and_not_the_end_of_the_log() {
    let sim = machine();
    let mut history = History::default();
    history.live(&sim.env(), script(31, 2)).unwrap();
    for nth in 0..20 {
        let sim = sim.fork();
        sim.inject(Fault::FailRead { nth });
        match Store::open(&sim.env(), &small(2)) {
            Ok(store) => {
                sim.heal();
                history.judge(&store.found, &crate::store::read_state(&sim.env()).unwrap().from);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Io),
        }
    }
}

/// The tail of stream 1 is lost: the record in stream 0 that needs it goes as well, though it is on disk.
#[test]
fn a_record_goes_with_what_it_needs() {
    use aether_types::Lv;
    let sim = machine();
    let store = Store::open(&sim.env(), &small(2)).unwrap();
    let kept = store.append(0, &Lv::ZERO, b"kept").unwrap();
    store.wal.wait_durable(&kept.lv).unwrap();
    let lost = store.append(1, &Lv::ZERO, b"lost").unwrap();
    let needs = store.append(0, &lost.lv, b"needs").unwrap();
    // Only stream 0 is flushed so far.
    store.wal.wait_durable(&Lv::at(crate::store::stream(0), needs.end)).unwrap();
    assert!(!store.wal.is_durable(&needs.lv));
    // A later flush start proves that record durable, which does not help it.
    let later = store.append(0, &Lv::ZERO, b"later").unwrap();
    store.wal.wait_durable(&Lv::at(crate::store::stream(0), later.end)).unwrap();
    let image = sim.crash_image(CrashPolicy::KeepAll);
    let store = Store::open(&image.env(), &small(2)).unwrap();
    assert_eq!(store.bodies(), [b"kept"]);
    assert_eq!(store.cut.get(crate::store::stream(0)), needs.lsn);
    store.commit(b"next").unwrap();
    let store = Store::open(&image.crash_image(CrashPolicy::LoseAll).env(), &small(2)).unwrap();
    assert_eq!(store.bodies(), [&b"kept"[..], b"next"]);
}
