//! The soak in seconds, and the proof that its judges have teeth.

use aether_kv::{DbEnv, Durability, Options};
use aether_torture::soak::client::Client;
use aether_torture::soak::survey::survey;
use aether_torture::soak::trend::Trend;
use aether_torture::soak::value::{check, key, value};
use aether_torture::soak::{self, Settings};
use std::time::{Duration, Instant};

#[test]
fn seconds_of_mixed_work_go_right() {
    let settings = Settings { keys: 300, ..Settings::new(Duration::from_secs(6)) };
    let outcome = soak::run(&settings, &mut |_| ()).unwrap();
    assert!(outcome.is_clean(), "{outcome}");
    assert!(outcome.opens >= 3 && outcome.surveys >= 4 && outcome.samples.len() > 20, "{outcome}");
    let counts = outcome.counts;
    assert!(counts.commits > 100 && counts.rollbacks > 10 && counts.rows_read > 1000, "{outcome}");
    assert!(outcome.trends.iter().all(|trend| trend.most > 0), "something is not measured: {outcome}");
    assert!(!outcome.judged);
}

#[test]
fn a_value_is_that_of_its_key_version_and_seed_alone() {
    for number in 0..500 {
        let whole = value(1, 2, number, 7);
        assert_eq!(check(1, 2, number, &whole), Ok(7));
        assert!(check(2, 2, number, &whole).is_err() || whole.len() == 24);
        assert!(check(1, 3, number, &whole).is_err() && check(1, 2, number + 1, &whole).is_err());
        assert!(check(1, 2, number, &whole[..whole.len() - 1]).is_err());
        assert_eq!(value(1, 2, number, 8).len(), whole.len());
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_ne!(check(1, 2, number, &flipped), Ok(7));
    }
}

#[test]
fn what_grows_is_found_and_what_swings_is_not() {
    let growing: Vec<u64> = (0..300).map(|at| 1_000_000 + at * 1000).collect();
    assert!(Trend::new("", &growing).grows());
    let swinging: Vec<u64> = (0..300).map(|at| 1_000_000 + at % 7 * 100_000).collect();
    assert!(!Trend::new("", &swinging).grows());
    let filled_early: Vec<u64> = (0..300).map(|at| 1_000_000.min(at * 20_000)).collect();
    assert!(!Trend::new("", &filled_early).grows());
    let leaked: Vec<u64> = (0..300).map(|at| 20 + at / 100 * 2).collect();
    assert!(Trend::new("", &leaked).grows());
}

/// A store on which one client has worked, and what it knows.
fn worked() -> (tempfile::TempDir, DbEnv, Vec<Client>) {
    let dir = tempfile::TempDir::new().unwrap();
    // Then reading shows the newest commits, which is what a client knows.
    let options = Options { durability: Durability::None, ..Options::default() };
    let env = DbEnv::open(dir.path().join("home"), options).unwrap();
    let settings = Settings { keys: 100, clients: 1, ..Settings::new(Duration::from_secs(1)) };
    let mut client = Client::new(0, &settings, 1);
    client.work(&env, Instant::now() + Duration::from_millis(300)).unwrap();
    (dir, env, vec![client])
}

#[track_caller]
fn assert_survey_finds(change: impl FnOnce(&mut aether_kv::Txn, &aether_kv::Keyspace)) {
    let (_dir, env, clients) = worked();
    survey(&env, &clients).unwrap();
    let mut txn = env.begin().unwrap();
    change(&mut txn, &env.keyspace("default").unwrap());
    txn.commit().unwrap();
    assert!(survey(&env, &clients).is_err());
}

#[test]
fn the_survey_finds_a_row_too_many_one_too_few_and_an_old_one() {
    assert_survey_finds(|txn, space| txn.put(space, b"000/9", b"x").unwrap());
    assert_survey_finds(|txn, space| {
        let there = txn.prefix(space, b"000/").unwrap().next().unwrap().unwrap().0;
        assert!(txn.delete(space, &there).unwrap());
    });
    assert_survey_finds(|txn, space| {
        let there = txn.prefix(space, b"000/").unwrap().next().unwrap().unwrap().0;
        let number: usize = str::from_utf8(&there[4..]).unwrap().parse().unwrap();
        txn.put(space, &key(0, number), &value(1, 0, number, 0)).unwrap();
    });
    assert_survey_finds(|txn, space| txn.put(space, b"~counter/0", b"4711").unwrap());
}
