//! When the adaptive policy moves: not for a window, and not back and forth.

use aether_lsm::policy::{Adaptive, MergePolicy, Mix, PolicyKind, Switch};

const READS: Mix = Mix { gets: 900, scans: 100, puts: 0 };
const WRITES: Mix = Mix { gets: 0, scans: 0, puts: 1000 };
const BOTH: Mix = Mix { gets: 400, scans: 100, puts: 500 };

fn switches(policy: &mut Adaptive, windows: &[(Mix, usize)]) -> Vec<Switch> {
    let all = windows.iter().flat_map(|(mix, times)| std::iter::repeat_n(*mix, *times));
    all.filter_map(|mix| policy.observe(mix)).collect()
}

fn kinds(switches: &[Switch]) -> Vec<PolicyKind> {
    switches.iter().map(|switch| switch.to).collect()
}

#[test]
fn it_follows_the_use() {
    let mut policy = Adaptive::default();
    let told = switches(
        &mut policy,
        &[(WRITES, 20), (BOTH, 20), (READS, 20), (BOTH, 20), (READS, 20), (WRITES, 20)],
    );
    use PolicyKind::{Fast, Leveled, Predictable};
    assert_eq!(kinds(&told), [Predictable, Fast, Leveled, Fast, Leveled, Fast, Predictable]);
    assert_eq!(policy.current(), Predictable);
    assert!(told.iter().zip(&told[1..]).all(|(before, after)| before.to == after.from));
    assert!(told.iter().all(|switch| switch.puts_of_thousand.is_some()));
}

#[test]
fn one_window_decides_nothing() {
    let mut policy = Adaptive::default();
    let told = switches(&mut policy, &[(BOTH, 10), (WRITES, 2), (BOTH, 10), (READS, 2), (BOTH, 10)]);
    assert_eq!(told, []);
    let nearly = Mix { gets: 95, scans: 0, puts: 905 };
    let scaled = Mix { gets: 10 * nearly.gets, puts: 10 * nearly.puts, ..nearly };
    assert_eq!(switches(&mut policy, &[(scaled, 10), (WRITES, 2), (scaled, 10)]), []);
    assert_eq!(policy.current(), PolicyKind::Fast);
}

#[test]
fn between_the_thresholds_it_stays() {
    let near = |puts| Mix { gets: 1000 - puts, scans: 0, puts };
    for (first, around) in [(READS, [40, 140]), (WRITES, [860, 970])] {
        let mut policy = Adaptive::default();
        switches(&mut policy, &[(first, 20)]);
        let before = policy.current();
        let windows: Vec<_> = (0..100).map(|at| (near(around[at / 5 % 2]), 1)).collect();
        assert_eq!(switches(&mut policy, &windows), []);
        assert_eq!(policy.current(), before);
        assert_ne!(before, PolicyKind::Fast);
    }
}

#[test]
fn a_call_holds_until_the_next_and_idle_windows_say_nothing() {
    let mut policy = Adaptive::default();
    let idle = Mix { puts: 200, ..Mix::default() };
    assert_eq!(switches(&mut policy, &[(idle, 50)]), []);
    assert!(policy.choose(PolicyKind::Hanoi).is_some());
    assert_eq!(policy.choose(PolicyKind::Hanoi), None);
    assert_eq!(switches(&mut policy, &[(READS, 50)]), []);
    assert_eq!(policy.current(), PolicyKind::Hanoi);
    assert_eq!(policy.choose(PolicyKind::Adaptive), None);
    assert_eq!(kinds(&switches(&mut policy, &[(READS, 50)])), [PolicyKind::Leveled]);
}
