//! Several threads of the operating system write until the power goes.
//!
//! Each has rows of its own and moves money between accounts that all share. Two of the same seed make the same
//! decisions, but in another order: the threads are real, so a seed is a chance to see a failure again, not a promise.
//!
//! The oracle needs no order of the commits. Each thread keeps the states of its own rows, one for each of its commits,
//! and after each the sum of all it has moved so far. A restart shows for each thread one of its states, not before
//! the last one acknowledged: its commits without a hole. Every account must hold what the threads, as far as the
//! restart shows them, have moved to it: transfers are whole, none is counted twice, and nobody's commit rests on one
//! that is gone.
//!
//! With keyspaces of several kinds threads also put rows in bulk and delete ranges of their own, and in some runs one more thread converts the
//! keyspaces: each is of the kind that was acknowledged last, or of one that was asked for since.
//!
//! What the process left is also recovered by one redo thread and by several: see `threads/twins.rs`.

mod converter;
mod teller;
mod twins;

use crate::campaign::{self, Limits};
use crate::kind::{Kind, Kinds};
use crate::model::{Rows, show};
use crate::oracle::{self, Verdict, failed};
use crate::report::{Failure, Report, Tally};
use crate::rng::{Rng, derive};
use crate::shape::Shape;
use crate::study::{Settings, Study, guarded};
use crate::world::{Cut, Fate, World, policies};
use aether_kv::{DbEnv, Options};
use aether_sync::Arc;
use aether_sync::thread::{JoinHandle, spawn};
use aether_types::IndexKind;
use converter::{Becoming, Converter};
use std::collections::BTreeMap;
use teller::{Diary, Teller};

/// The keyspace of the threads' own rows.
const OWN: &str = "own";

/// The keyspace of the accounts.
const ACCOUNTS: &str = "accounts";

/// Accounts that the threads share.
const ACCOUNT_COUNT: usize = 12;

/// What each account holds at first.
const FIRST_BALANCE: i64 = 1_000;

/// Log streams at the most.
const STREAMS: usize = 4;

/// Restarts of each run, beside that after the death of the process.
const POWER_CUTS: u64 = 4;

/// What all threads remember.
struct Books {
    diaries: Vec<Diary>,
    becoming: Becoming,
}

/// What a store shows: the state of each thread, and what the keyspaces are.
struct Shown {
    states: Vec<usize>,
    kinds: BTreeMap<String, IndexKind>,
}

/// Runs until a limit is met; run number n follows from the seed and n. Blocks.
pub fn run(settings: Settings, runs: u64, limits: Limits, progress: &mut dyn FnMut(&Report)) -> Report {
    let limits = Limits { end: Some(runs), ..limits };
    campaign::run(Study::unplayed(settings), limits, Arc::new(visit), progress)
}

/// One run: starts the threads, cuts the power while they write, restarts and judges.
///
/// # Errors
/// The first failure.
pub fn visit(study: &Study, number: u64, beat: &dyn Fn()) -> Result<Tally, Failure> {
    let mut tally = Tally { threaded: 1, ..Tally::default() };
    beat();
    let outcome = guarded(|| endure(study.settings(), number, &mut tally, beat));
    outcome.map_err(|what| Failure { thread_run: Some(number as u32), ..study.failure(&[], what) })?;
    Ok(tally)
}

fn endure(settings: &Settings, number: u64, tally: &mut Tally, beat: &dyn Fn()) -> Verdict<()> {
    let seed = derive(settings.seed, number);
    let mut rng = Rng::new(seed);
    let shape = Shape::new(rng.word() >> 48);
    let world = World::new(seed, shape, settings.mutant);
    let background = rng.chance(50);
    let env = open(&world, background)?;
    let kinds = settings.kinds.deal(seed);
    found_bank(&env, kinds)?;
    let threads = rng.between(2, 5);
    let teller = |number| teller(&env, number, seed, settings.kinds);
    let tellers = (0..threads).map(teller).collect::<Result<Vec<_>, _>>()?;
    let becoming = Becoming::new(kinds[0], kinds[1]);
    let converter = match settings.kinds {
        Kinds::Btree => Converter::idle(&env, becoming),
        Kinds::Mixed => Converter::new(&env, Rng::new(derive(seed, 2_000)), becoming),
    };
    drop(env);
    world.sim.cut_power_at(world.sim.op_count() + rng.below(400) as u64);
    let books = work(&world, tellers, converter)?;
    let image = |fate| world.after(Cut { op: number, fate });
    let fates = (0..POWER_CUTS).map(|part| Fate::Power(derive(seed, part) as usize % policies()));
    for fate in fates.chain([Fate::Kill]) {
        beat();
        judge_twice(&image(fate), background, &books, rng.word()).map_err(|what| {
            format!("{threads} threads, {shape:?}, background {background}, then {fate:?}: {what}")
        })?;
        tally.count(&[Cut { op: number, fate }], false);
    }
    beat();
    let killed = image(Fate::Kill);
    let compared = twins::compare(&killed, &books, &mut rng);
    compared.map_err(|what| format!("{threads} threads, {shape:?}: {what}"))
}

fn teller(env: &DbEnv, number: usize, seed: u64, kinds: Kinds) -> Verdict<Teller> {
    let chance = |part| Rng::new(derive(seed, part + number as u64));
    let teller = Teller::new(env, number, chance(1_000))?;
    Ok(if kinds == Kinds::Btree { teller } else { teller.with_bulk(chance(3_000)) })
}

/// With its own threads for pages and log, or without.
fn open(world: &World, background: bool) -> Verdict<DbEnv> {
    world.open_with(|options| {
        options.background = background;
        options.lock_timeout = Options::default().lock_timeout;
    })
}

fn reopen(world: &World, background: bool, chance: u64) -> Verdict<DbEnv> {
    world.open_with(|options| {
        options.background = background;
        options.lock_timeout = Options::default().lock_timeout;
        options.wal.streams = 1 + chance as usize % STREAMS;
    })
}

/// The accounts and the keyspaces, durable.
fn found_bank(env: &DbEnv, [own, shared, _]: [Kind; 3]) -> Verdict<()> {
    let mut txn = env.begin().map_err(failed("begin"))?;
    let create = |txn: &mut _, name, kind: Kind| env.create_keyspace(txn, name, kind.options());
    create(&mut txn, OWN, own).map_err(failed("create_keyspace"))?;
    let accounts = create(&mut txn, ACCOUNTS, shared).map_err(failed("create_keyspace"))?;
    for number in 0..ACCOUNT_COUNT {
        let balance = FIRST_BALANCE.to_le_bytes();
        txn.put(&accounts, &account(number), &balance).map_err(failed("put"))?;
    }
    txn.commit().map_err(failed("commit"))
}

fn account(number: usize) -> Vec<u8> {
    format!("account-{number:02}").into_bytes()
}

/// Lets the threads write until each has ended, by the power cut or because it has done all it meant to.
fn work(world: &World, tellers: Vec<Teller>, converter: Converter) -> Verdict<Books> {
    let converter = spawn("converter", move || converter.work());
    let start = |teller: Teller| spawn("teller", move || teller.work());
    let tellers: Vec<JoinHandle<Verdict<Diary>>> = tellers.into_iter().map(start).collect();
    let ended: Vec<_> = tellers.into_iter().map(JoinHandle::join).collect();
    let diaries: Vec<Diary> = ended
        .into_iter()
        .map(|end| end.unwrap_or_else(|_| Err("a thread panicked".into())))
        .collect::<Result<_, _>>()?;
    let becoming = converter.join().map_err(|_| "the thread that converts panicked")?;
    let stopped = diaries.iter().find_map(|diary| diary.error.as_ref()).or(becoming.error.as_ref());
    match stopped {
        Some(what) if !world.sim.is_off() => Err(format!("failed with the power on: {what}")),
        _ => Ok(Books { diaries, becoming }),
    }
}

/// Judges, cuts the power during a checkpoint after it, and judges again; each time with another number of log streams.
fn judge_twice(image: &World, background: bool, books: &Books, chance: u64) -> Verdict<()> {
    let env = reopen(image, background, chance >> 8)?;
    let shown = judge(&env, books, None)?;
    image.sim.cut_power_at(image.sim.op_count() + chance % 20);
    let _ = env.checkpoint();
    drop(env);
    let again = image.after(Cut { op: chance, fate: Fate::Power((chance >> 32) as usize % policies()) });
    let env = reopen(&again, false, chance >> 16)?;
    judge(&env, books, Some(&shown)).map(drop).map_err(|what| format!("after a second cut: {what}"))
}

/// What the store shows: from what was acknowledged last on, or exactly `wanted`.
fn judge(env: &DbEnv, books: &Books, wanted: Option<&Shown>) -> Verdict<Shown> {
    let (state, diaries) = (oracle::read(env)?, &books.diaries);
    books.becoming.check(&state.kinds)?;
    if let Some(before) = wanted.filter(|before| before.kinds != state.kinds) {
        return Err(format!("kinds {:?} were shown before, now {:?}", before.kinds, state.kinds));
    }
    let rows = |name: &str| state.rows(name).ok_or_else(|| format!("keyspace {name} is missing"));
    let (own, accounts) = (rows(OWN)?, rows(ACCOUNTS)?);
    let mut shown = Vec::new();
    for (number, diary) in diaries.iter().enumerate() {
        let k = diary.place(own).map_err(|what| format!("thread {number}: {what}"))?;
        if let Some(before) = wanted.map(|wanted| wanted.states[number]).filter(|before| *before != k) {
            return Err(format!("thread {number}: state {before} was shown before, now {k}"));
        }
        shown.push(k);
    }
    let known: usize = diaries.iter().zip(&shown).map(|(diary, k)| diary.entries[*k].rows.len()).sum();
    if known != own.len() {
        return Err(format!("{} rows, but the threads have written {known}", own.len()));
    }
    check_accounts(accounts, diaries, &shown)?;
    Ok(Shown { states: shown, kinds: state.kinds })
}

fn check_accounts(accounts: &Rows, diaries: &[Diary], shown: &[usize]) -> Verdict<()> {
    for number in 0..ACCOUNT_COUNT {
        let key = account(number);
        let moved: i64 = diaries.iter().zip(shown).map(|(diary, k)| diary.entries[*k].moved[number]).sum();
        let balance =
            accounts.get(&*key).and_then(|value| value.first_chunk()).map(|value| i64::from_le_bytes(*value));
        if balance != Some(FIRST_BALANCE + moved) {
            return Err(format!("{} holds {balance:?}, expected {}", show(&key), FIRST_BALANCE + moved));
        }
    }
    let sum = (ACCOUNT_COUNT as i64) * FIRST_BALANCE;
    let held =
        accounts.values().filter_map(|value| value.first_chunk()).map(|value| i64::from_le_bytes(*value));
    if held.sum::<i64>() == sum { Ok(()) } else { Err("money was made or lost".into()) }
}
