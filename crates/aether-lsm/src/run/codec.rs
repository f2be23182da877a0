//! Compression of blocks.

use aether_types::{Error, ErrorKind, Result};

/// How the blocks of a run are compressed. A block that would not get smaller is kept as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Codec {
    /// Not at all.
    Plain,
    /// LZ4: fast both ways.
    #[default]
    Lz4,
    /// Zstandard with a dictionary made of the run's first blocks: smaller, slower.
    #[cfg(feature = "zstd")]
    Zstd {
        /// 1 (fast) to 22 (small).
        level: i32,
    },
}

pub(super) const PLAIN: u8 = 0;
pub(super) const LZ4: u8 = 1;
pub(super) const ZSTD: u8 = 2;

/// Compresses blocks, one after the other.
pub(super) struct Compressor {
    codec: Codec,
    #[cfg(feature = "zstd")]
    dictionary: zstandard::Packer,
    out: Vec<u8>,
}

impl Compressor {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            codec,
            #[cfg(feature = "zstd")]
            dictionary: zstandard::Packer::default(),
            out: Vec::new(),
        }
    }

    /// How many bytes of blocks it wants to see before it compresses any.
    pub(super) fn sample_bytes(&self) -> usize {
        match self.codec {
            Codec::Plain | Codec::Lz4 => 0,
            #[cfg(feature = "zstd")]
            Codec::Zstd { .. } => zstandard::SAMPLE_BYTES,
        }
    }

    /// Shows it the blocks that `bytes` are made of, by their lengths. Returns the dictionary that readers need, empty for none.
    ///
    /// # Errors
    /// `InvalidInput` for a level that there is not.
    pub(super) fn learn(&mut self, bytes: &[u8], lengths: &[usize]) -> Result<Vec<u8>> {
        match self.codec {
            Codec::Plain | Codec::Lz4 => {
                let _ = (bytes, lengths);
                Ok(Vec::new())
            }
            #[cfg(feature = "zstd")]
            Codec::Zstd { level } => self.dictionary.learn(level, bytes, lengths),
        }
    }

    /// How `block` is kept, and the bytes.
    pub(super) fn compress<'a>(&'a mut self, block: &'a [u8]) -> (u8, &'a [u8]) {
        self.out.resize(lz4_flex::block::get_maximum_output_size(block.len()), 0);
        let done = match self.codec {
            Codec::Plain => None,
            Codec::Lz4 => lz4_flex::block::compress_into(block, &mut self.out).ok().map(|len| (LZ4, len)),
            #[cfg(feature = "zstd")]
            Codec::Zstd { .. } => self.dictionary.pack(block, &mut self.out).map(|len| (ZSTD, len)),
        };
        match done {
            // What saves less than a sixteenth is not worth unpacking.
            Some((codec, len)) if len + block.len() / 16 < block.len() => (codec, &self.out[..len]),
            _ => (PLAIN, block),
        }
    }
}

/// Unpacks blocks of a run, on any thread.
pub(super) struct Decompressor {
    #[cfg(feature = "zstd")]
    zstandard: zstandard::Unpacker,
}

impl Decompressor {
    pub(super) fn new(dictionary: Vec<u8>) -> Self {
        #[cfg(not(feature = "zstd"))]
        drop(dictionary);
        Self {
            #[cfg(feature = "zstd")]
            zstandard: zstandard::Unpacker::new(dictionary),
        }
    }

    /// Fills `into`, which is as long as the block was.
    ///
    /// # Errors
    /// `Corruption` if the bytes are no such block; `Unsupported` for a codec that this build does not have.
    pub(super) fn decompress(&self, codec: u8, bytes: &[u8], into: &mut [u8]) -> Result<()> {
        let len = match codec {
            PLAIN if bytes.len() == into.len() => {
                into.copy_from_slice(bytes);
                Some(bytes.len())
            }
            PLAIN => None,
            LZ4 => lz4_flex::block::decompress_into(bytes, into).ok(),
            #[cfg(feature = "zstd")]
            ZSTD => self.zstandard.unpack(bytes, into),
            _ => return Err(unknown(codec)),
        };
        if len == Some(into.len()) {
            return Ok(());
        }
        Err(Error::corruption(format!("a block of {} bytes cannot be unpacked", bytes.len())))
    }
}

fn unknown(codec: u8) -> Error {
    let what = match codec {
        ZSTD => "a block is compressed with zstd, which this build does not have".into(),
        other => format!("a block is compressed by the unknown codec {other}"),
    };
    Error::new(ErrorKind::Unsupported, what)
}

#[cfg(feature = "zstd")]
mod zstandard {
    use super::*;
    use aether_index::txn::recovery::wal::buffer::page::sync::{Mutex, Rank};
    use zstd::bulk::{Compressor, Decompressor};

    /// Bytes of blocks that a dictionary is made of.
    pub(super) const SAMPLE_BYTES: usize = 1 << 20;
    const DICTIONARY_BYTES: usize = 16 << 10;
    /// With fewer blocks a dictionary would be longer than what it saves.
    const BLOCKS_MIN: usize = 64;
    const UNPACKERS: Rank = Rank::new(795, "zstd contexts");
    /// Contexts kept for the next reader.
    const KEPT_MAX: usize = 4;

    #[derive(Default)]
    pub(super) struct Packer(Option<Compressor<'static>>);

    impl Packer {
        pub(super) fn learn(&mut self, level: i32, bytes: &[u8], lengths: &[usize]) -> Result<Vec<u8>> {
            let enough = lengths.len() >= BLOCKS_MIN;
            let trained = enough.then(|| zstd::dict::from_continuous(bytes, lengths, DICTIONARY_BYTES));
            // What cannot be learned from does without.
            let dictionary = trained.and_then(|trained| trained.ok()).unwrap_or_default();
            let packer = Compressor::with_dictionary(level, &dictionary);
            let refused = |error| Error::invalid(format!("zstd at level {level}: {error}"));
            self.0 = Some(packer.map_err(refused)?);
            Ok(dictionary)
        }

        pub(super) fn pack(&mut self, block: &[u8], out: &mut [u8]) -> Option<usize> {
            self.0.as_mut()?.compress_to_buffer(block, out).ok()
        }
    }

    pub(super) struct Unpacker {
        dictionary: Vec<u8>,
        idle: Mutex<Vec<Decompressor<'static>>>,
    }

    impl Unpacker {
        pub(super) fn new(dictionary: Vec<u8>) -> Self {
            Self { dictionary, idle: Mutex::new(UNPACKERS, Vec::new()) }
        }

        pub(super) fn unpack(&self, bytes: &[u8], into: &mut [u8]) -> Option<usize> {
            let idle = self.idle.lock().pop();
            let mut unpacker = match idle {
                Some(unpacker) => unpacker,
                None => Decompressor::with_dictionary(&self.dictionary).ok()?,
            };
            let len = unpacker.decompress_to_buffer(bytes, into).ok();
            let mut idle = self.idle.lock();
            if idle.len() < KEPT_MAX {
                idle.push(unpacker);
            }
            len
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codecs() -> Vec<Codec> {
        vec![
            Codec::Plain,
            Codec::Lz4,
            #[cfg(feature = "zstd")]
            Codec::Zstd { level: 3 },
        ]
    }

    #[test]
    fn blocks_round_trip_and_other_lengths_are_refused() {
        let blocks: Vec<Vec<u8>> = (0..200_u32)
            .map(|n| format!("{n} user of the house {}", n * n).repeat(30).into_bytes())
            .collect();
        let lengths: Vec<usize> = blocks.iter().map(Vec::len).collect();
        for codec in codecs() {
            let mut packer = Compressor::new(codec);
            let unpacker = Decompressor::new(packer.learn(&blocks.concat(), &lengths).unwrap());
            for block in &blocks {
                let (how, bytes) = packer.compress(block);
                assert_eq!(how == PLAIN, codec == Codec::Plain);
                let mut out = vec![0; block.len()];
                unpacker.decompress(how, bytes, &mut out).unwrap();
                assert_eq!(out, *block);
                for wrong in [block.len() - 1, block.len() + 1, 0] {
                    let refused = unpacker.decompress(how, bytes, &mut vec![0; wrong]).unwrap_err();
                    assert_eq!(refused.kind(), ErrorKind::Corruption);
                }
            }
            assert!(unpacker.decompress(9, b"", &mut []).is_err());
        }
    }

    #[test]
    fn chance_is_kept_as_it_is() {
        let mut state = 1_u64;
        let block: Vec<u8> = (0..4000)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect();
        assert_eq!(Compressor::new(Codec::Lz4).compress(&block), (PLAIN, &block[..]));
    }
}
