//! The control file: where redo starts, and which log positions are void.
//!
//! Three slots of 32 KiB, written in turn, each in one durable write; the valid one with the highest number counts.
//!
//! What may become of block n + 1, and what the slots then hold, n being durable:
//! - the write returns: it is durable, and the log may be cut to what it says;
//! - the power is cut in it: its slot is new, old or torn; n counts if it is not new;
//! - the process dies in it, and the next one finds it whole, in the system's cache alone. That one syncs the file before
//!   it writes n + 2. Without the sync, a chain of processes that die in their first write would come round to the slot of n,
//!   whatever the number of slots;
//! - the write's sync, or that sync, fails: the system takes the block for written, the disk has not got it, and no later
//!   sync tells. Then n + 2 goes to the third slot, and a power cut that tears it leaves n. With two slots it left none.
//!
//! Two processes in a row whose syncs of this file fail, and a power cut in the first write of a third, are not borne.

use aether_sync::Arc;
use aether_types::{
    Error, ErrorKind, FileId, Lsn, Lv, PageSize, Reader, Result, StoreId, StreamId, Timestamp,
};
use aether_types::{TxnId, Writer, checksum, limits::STREAMS_MAX};
use aether_vfs::{AlignedBuf, Create, Env, File, Mode, OpenOptions};
use aether_wal::Incarnation;
use std::path::Path;

/// The name of the control file inside a home.
pub const CONTROL_NAME: &str = "control";
pub(crate) const CONTROL_NEW_NAME: &str = "control.new";

pub(crate) const SLOT_BYTES: usize = 32 << 10;
pub(crate) const SLOTS: usize = 3;
const MAGIC: &[u8; 8] = b"AETHCTRL";
const VERSION: u32 = 1;
/// Required feature: page writes are noted in PSN tables.
const PSN_TABLES: u32 = 1;
/// Required feature: the file has three slots, not two.
const THREE_SLOTS: u32 = 2;
const REQUIRED: u32 = PSN_TABLES | THREE_SLOTS;
/// Required feature of a store that has had an index that is no B+tree: undo records, page operations and the catalog may
/// tell of one.
pub(crate) const INDEX_KINDS: u32 = 4;
/// Required feature of a store whose keyspace `default` stands in the catalog, because another index took the place of its first.
pub(crate) const DEFAULT_LISTED: u32 = 8;
const KNOWN: u32 = REQUIRED | INDEX_KINDS | DEFAULT_LISTED;
/// No counter comes near this, so that what is added to one does not overflow.
const COUNT_END: u64 = 1 << 60;
/// The number of the block that creation writes.
pub(crate) const FIRST_NUMBER: u64 = 1;
/// Bytes before the body: magic, version, required and optional features, body length, checksum.
pub(crate) const HEAD_BYTES: usize = 32;

/// What the control file says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Control {
    pub(crate) number: u64,
    /// Required features that this store has beyond those that every store has.
    pub(crate) features: u32,
    pub(crate) store: StoreId,
    pub(crate) page_size: PageSize,
    pub(crate) streams: u8,
    /// Redo starts here.
    pub(crate) redo_start: Lv,
    /// The newest checkpoint record, if there is one.
    pub(crate) checkpoint: Option<(StreamId, Lsn)>,
    /// The end of every stream, if the store was closed cleanly.
    pub(crate) clean_end: Option<Lv>,
    /// Ids below these are reserved: no id at or above them was ever used.
    pub(crate) txn_floor: TxnId,
    pub(crate) timestamp_floor: Timestamp,
    pub(crate) file_floor: FileId,
    /// Every incarnation that the retained log touches, oldest first.
    pub(crate) incarnations: Vec<IncarnationEntry>,
}

/// An incarnation as the control file keeps it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IncarnationEntry {
    pub(crate) epoch: u64,
    pub(crate) cut: Lv,
    pub(crate) start: Lv,
}

impl IncarnationEntry {
    pub(crate) fn from_wal(from: &Incarnation) -> Self {
        Self { epoch: from.epoch, cut: from.cut, start: from.start }
    }

    pub(crate) fn to_wal(&self) -> Incarnation {
        Incarnation { epoch: self.epoch, cut: self.cut, start: self.start }
    }
}

fn put_lv(out: &mut Vec<u8>, lv: &Lv) {
    lv.iter(STREAMS_MAX).for_each(|(_, lsn)| out.put_varint(lsn.get()));
}

fn read_lv(reader: &mut Reader<'_>) -> Result<Lv> {
    let mut lv = Lv::ZERO;
    for stream in 0..STREAMS_MAX as u8 {
        lv.set(StreamId::new(stream), Lsn::new(reader.varint()?));
    }
    Ok(lv)
}

impl Control {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        body.put_u64(self.number);
        body.put_bytes(&self.store.bytes());
        body.put_u32(self.page_size.bytes() as u32);
        body.put_u8(self.streams);
        put_lv(&mut body, &self.redo_start);
        let (stream, lsn) = self.checkpoint.map_or((u8::MAX, 0), |(stream, lsn)| (stream.get(), lsn.get()));
        body.put_u8(stream);
        body.put_u64(lsn);
        body.put_u8(u8::from(self.clean_end.is_some()));
        put_lv(&mut body, &self.clean_end.unwrap_or(Lv::ZERO));
        body.put_u64(self.txn_floor.get());
        body.put_u64(self.timestamp_floor.get());
        body.put_u32(self.file_floor.get());
        body.put_varint(self.incarnations.len() as u64);
        for each in &self.incarnations {
            body.put_u64(each.epoch);
            put_lv(&mut body, &each.cut);
            put_lv(&mut body, &each.start);
        }
        if HEAD_BYTES + body.len() > SLOT_BYTES {
            return Err(Error::new(
                ErrorKind::OverLimit,
                format!(
                    "the retained log spans {} incarnations, more than the control file holds",
                    self.incarnations.len()
                ),
            ));
        }
        Ok(body)
    }

    fn decode(body: &[u8], features: u32) -> Result<Self> {
        let mut reader = Reader::new(body);
        let number = reader.u64()?;
        let mut store = [0; 16];
        store.copy_from_slice(reader.bytes(16)?);
        let page_size = reader.u32()? as usize;
        let page_size = PageSize::new(page_size).map_err(|error| reader.bad(error.what()))?;
        let streams = reader.u8()?;
        let redo_start = read_lv(&mut reader)?;
        let (stream, lsn) = (reader.u8()?, Lsn::new(reader.u64()?));
        let checkpoint = ((stream as usize) < STREAMS_MAX).then(|| (StreamId::new(stream), lsn));
        let clean = reader.u8()? == 1;
        let ends = read_lv(&mut reader)?;
        let txn_floor = TxnId::new(reader.u64()?);
        let timestamp_floor = Timestamp::new(reader.u64()?);
        let file_floor = FileId::new(reader.u32()?);
        let count = reader.varint_below(SLOT_BYTES as u64)?;
        let mut incarnations = Vec::new();
        for _ in 0..count {
            let epoch = reader.u64()?;
            incarnations.push(IncarnationEntry {
                epoch,
                cut: read_lv(&mut reader)?,
                start: read_lv(&mut reader)?,
            });
        }
        reader.finish()?;
        if !(1..=STREAMS_MAX).contains(&(streams as usize)) {
            return Err(reader.bad(format!("{streams} log streams")));
        }
        if [number, txn_floor.get(), timestamp_floor.get()].iter().any(|count| *count >= COUNT_END) {
            return Err(reader.bad("a counter that can never have come so far"));
        }
        Ok(Self {
            number,
            features,
            store: StoreId::new(store),
            page_size,
            streams,
            redo_start,
            checkpoint,
            clean_end: clean.then_some(ends),
            txn_floor,
            timestamp_floor,
            file_floor,
            incarnations,
        })
    }
}

/// A slot with its head: magic, version, features, length, checksum.
pub(crate) fn frame(body: &[u8], features: u32) -> AlignedBuf {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.put_bytes(MAGIC);
    head.put_u32(VERSION);
    head.put_u32(REQUIRED | features);
    head.put_u32(0);
    head.put_u32(body.len() as u32);
    let mut sum = head.clone();
    sum.put_bytes(body);
    head.put_u64(checksum(0, &sum));
    let mut slot = AlignedBuf::new(SLOT_BYTES);
    slot[..HEAD_BYTES].copy_from_slice(&head);
    slot[HEAD_BYTES..HEAD_BYTES + body.len()].copy_from_slice(body);
    slot
}

/// What a slot holds: a control block, or why it does not.
pub(crate) fn parse(slot: &[u8]) -> Result<Control> {
    let mut reader = Reader::new(slot);
    if reader.bytes(8)? != MAGIC {
        return Err(Error::corruption("not a control block of a store"));
    }
    let (version, required, _optional) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let length = reader.u32()? as usize;
    let sum = reader.u64()?;
    let body = reader.bytes(length.min(SLOT_BYTES))?;
    let mut summed = slot[..24].to_vec();
    summed.put_bytes(body);
    if sum != checksum(0, &summed) {
        let what = match version {
            VERSION => "the checksum of a control block differs".to_owned(),
            other => format!(
                "the checksum of a control block differs; it states format version {other}, this build knows {VERSION}"
            ),
        };
        return Err(Error::corruption(what));
    }
    if version != VERSION || required & !KNOWN != 0 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the store has format version {version}, required features {required:#x}; this build knows version {VERSION}"
            ),
        ));
    }
    Control::decode(body, required & !REQUIRED)
}

/// The control file, open for writing, and what it says.
pub(crate) struct ControlFile {
    file: Option<Arc<dyn File>>,
    current: Control,
    /// The slot that has the current block.
    slot: usize,
    /// The current block is surely durable.
    is_proved: bool,
}

impl ControlFile {
    /// Writes the first control block under a name of its own; the creator renames it.
    pub(crate) fn create(env: &Env, home: &Path, first: &Control) -> Result<()> {
        let options = OpenOptions { write: true, create: Create::IfMissing, mode: Mode::Buffered };
        let file = env.vfs.open(&home.join(CONTROL_NEW_NAME), options)?;
        let slot = frame(&first.encode()?, first.features);
        file.set_size(0)?;
        file.write_at(0, &vec![0; SLOTS * SLOT_BYTES])?;
        file.write_at(0, &slot)?;
        file.sync()
    }

    /// Reads the control file.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Corruption` if no slot is valid, `Unsupported` for another version.
    pub(crate) fn open(env: &Env, home: &Path, write: bool) -> Result<Self> {
        let path = home.join(CONTROL_NAME);
        let options = OpenOptions { write, create: Create::No, mode: Mode::DirectDurable };
        let file = env.vfs.open(&path, options)?;
        let mut bytes = AlignedBuf::new(SLOTS * SLOT_BYTES);
        let read = file.read_at(0, &mut bytes)?;
        bytes[read..].fill(0);
        let slots = bytes.chunks(SLOT_BYTES).map(parse).collect();
        let (slot, current) = choose(slots).map_err(|error| error.at_path(&path))?;
        // The first block was synced before the file had its name.
        let is_proved = current.number == FIRST_NUMBER;
        Ok(Self { file: write.then_some(file), current, slot, is_proved })
    }

    pub(crate) fn current(&self) -> &Control {
        &self.current
    }

    /// Makes the current control block durable, as far as a sync can tell; blocks the first time. A process that died
    /// while it wrote the block may have left it in the system's cache alone. Not by writing the block again: torn, it
    /// would leave one whose log may be gone.
    pub(crate) fn prove(&mut self) -> Result<()> {
        if let Some(file) = self.file.as_ref().filter(|_| !self.is_proved) {
            file.sync()?;
            self.is_proved = true;
        }
        Ok(())
    }

    /// Makes a changed control block durable; blocks. On failure the old one counts.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Control)) -> Result<()> {
        self.prove()?;
        let mut next = self.current.clone();
        change(&mut next);
        next.number += 1;
        let slot = (self.slot + 1) % SLOTS;
        self.write(slot, &next)?;
        (self.current, self.slot) = (next, slot);
        Ok(())
    }

    fn write(&self, slot: usize, control: &Control) -> Result<()> {
        let reading = || Error::new(ErrorKind::ReadOnly, "the store is open for reading");
        let file = self.file.as_ref().ok_or_else(reading)?;
        file.write_at((slot * SLOT_BYTES) as u64, &frame(&control.encode()?, control.features))
    }
}

/// The newest block and its slot. One of another version may be newer than all that can be read.
fn choose(slots: Vec<Result<Control>>) -> Result<(usize, Control)> {
    let mut newest: Option<(usize, Control)> = None;
    let mut damage = Error::corruption("not a control file");
    for (slot, found) in slots.into_iter().enumerate() {
        match found {
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
            Err(error) => damage = error,
            Ok(block) if newest.as_ref().is_none_or(|(_, best)| best.number < block.number) => {
                newest = Some((slot, block));
            }
            Ok(_) => {}
        }
    }
    newest.ok_or(damage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_sim::{CrashPolicy, Fault, Sim};

    fn sample() -> Control {
        let lv = Lv::at(StreamId::new(0), Lsn::new(4096));
        Control {
            number: 7,
            features: INDEX_KINDS,
            store: StoreId::new([3; 16]),
            page_size: PageSize::MIN,
            streams: 1,
            redo_start: lv,
            checkpoint: Some((StreamId::new(0), Lsn::new(99))),
            clean_end: Some(lv),
            txn_floor: TxnId::new(5),
            timestamp_floor: Timestamp::new(6),
            file_floor: FileId::new(2),
            incarnations: vec![IncarnationEntry { epoch: 1, cut: Lv::ZERO, start: lv }],
        }
    }

    #[test]
    fn a_block_round_trips_and_any_flipped_bit_is_found() {
        let slot = frame(&sample().encode().unwrap(), INDEX_KINDS);
        assert_eq!(parse(&slot).unwrap(), sample());
        let used = HEAD_BYTES + sample().encode().unwrap().len();
        for bit in 0..used * 8 {
            let mut bad = slot.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad).is_err(), "bit {bit}");
        }
    }

    /// A feature that this build does not know: what it means for the rest cannot be told.
    #[test]
    fn an_unknown_feature_is_refused() {
        let slot = frame(&sample().encode().unwrap(), 1 << 30);
        assert_eq!(parse(&slot).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    /// A page size that cannot be was told as a wrong argument; a counter at its end overflowed.
    #[test]
    fn impossible_numbers_are_damage() {
        let mut body = sample().encode().unwrap();
        body[24] = 1;
        assert_eq!(parse(&frame(&body, 0)).unwrap_err().kind(), ErrorKind::Corruption);
        let last = u64::MAX;
        for changed in [
            Control { number: last, ..sample() },
            Control { txn_floor: TxnId::new(last), ..sample() },
            Control { timestamp_floor: Timestamp::new(last), ..sample() },
        ] {
            let slot = frame(&changed.encode().unwrap(), 0);
            assert_eq!(parse(&slot).unwrap_err().kind(), ErrorKind::Corruption);
        }
    }

    #[test]
    fn a_block_holds_hundreds_of_incarnations_and_not_any_number() {
        let of = |count| {
            let incarnations = vec![IncarnationEntry { epoch: 1, cut: Lv::ZERO, start: Lv::ZERO }; count];
            Control { incarnations, ..sample() }
        };
        let slot = frame(&of(800).encode().unwrap(), INDEX_KINDS);
        assert_eq!(parse(&slot).unwrap(), of(800));
        assert_eq!(of(900).encode().unwrap_err().kind(), ErrorKind::OverLimit);
    }

    const HOME: &str = "home";

    /// A control file whose newest block has this number; the earlier ones are behind it.
    fn written(env: &Env, number: u64) {
        let home = Path::new(HOME);
        env.vfs.create_dir(home).unwrap();
        ControlFile::create(env, home, &Control { number: FIRST_NUMBER, ..sample() }).unwrap();
        env.vfs.rename(&home.join(CONTROL_NEW_NAME), &home.join(CONTROL_NAME)).unwrap();
        env.vfs.sync_dir(home).unwrap();
        env.vfs.sync_dir(Path::new("/")).unwrap();
        let mut control = ControlFile::open(env, home, true).unwrap();
        (FIRST_NUMBER..number).for_each(|_| control.update(|_| ()).unwrap());
    }

    fn newest(env: &Env) -> Option<u64> {
        ControlFile::open(env, Path::new(HOME), false).map(|control| control.current().number).ok()
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        for number in 2..8 {
            let env = Env::memory();
            written(&env, number);
            let slot = ControlFile::open(&env, Path::new(HOME), true).unwrap().slot;
            let options = OpenOptions { write: true, ..OpenOptions::default() };
            let raw = env.vfs.open(&Path::new(HOME).join(CONTROL_NAME), options).unwrap();
            raw.write_at((slot * SLOT_BYTES) as u64 + 100, &[0xee; 8]).unwrap();
            assert_eq!(newest(&env), Some(number - 1));
        }
    }

    /// The blocks that a power cut may leave, of a file that the next process is writing to.
    fn after_a_cut_in_the_next_write(sim: &Sim) -> Vec<Option<u64>> {
        let mut control = ControlFile::open(&sim.env(), Path::new(HOME), true).unwrap();
        control.prove().unwrap();
        sim.cut_power_at(sim.op_count());
        control.update(|_| ()).unwrap_err();
        let images = (0..20).flat_map(CrashPolicy::all);
        images.map(|policy| newest(&sim.crash_image(policy).env())).collect()
    }

    /// The process that wrote block 6 has died, and the file is synced before block 7 is written.
    #[test]
    fn a_block_of_a_dead_process_counts_once_the_next_one_writes() {
        let sim = Sim::new(1);
        written(&sim.env(), 5);
        let mut control = ControlFile::open(&sim.env(), Path::new(HOME), true).unwrap();
        control.prove().unwrap();
        sim.cut_power_at(sim.op_count());
        control.update(|_| ()).unwrap_err();
        let killed = sim.kill_image();
        assert_eq!(newest(&killed.env()), Some(6));
        let found = after_a_cut_in_the_next_write(&killed);
        assert!(found.iter().all(|number| *number >= Some(6)), "{found:?}");
    }

    /// The sync of block 6 failed, and the disk has not got it, though every later reader finds it. With two slots a power
    /// cut in the write of block 7 left none.
    #[test]
    fn a_block_whose_sync_failed_does_not_cost_the_one_before() {
        let sim = Sim::new(1);
        let env = sim.env();
        written(&env, 5);
        let known = ControlFile::open(&env, Path::new(HOME), true).unwrap();
        let next = frame(&Control { number: 6, ..known.current().clone() }.encode().unwrap(), 0);
        let options = OpenOptions { write: true, ..OpenOptions::default() };
        let raw = env.vfs.open(&Path::new(HOME).join(CONTROL_NAME), options).unwrap();
        raw.write_at(((known.slot + 1) % SLOTS * SLOT_BYTES) as u64, &next).unwrap();
        sim.inject(Fault::FailSyncDropsDirty { nth: 0 });
        raw.sync().unwrap_err();
        let sim = sim.kill_image();
        assert_eq!(newest(&sim.env()), Some(6));
        let found = after_a_cut_in_the_next_write(&sim);
        assert!(found.contains(&Some(5)), "the disk has not got block 6");
        assert!(found.iter().all(|number| *number >= Some(5)), "{found:?}");
    }
}
