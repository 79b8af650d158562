//! Makes records of what is to be sent. OpenZFS 2.3 `module/zfs/dmu_send.c`, `do_dump` and what it calls.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::walk::{Kind, Range, SPILL_BLOCK};
use super::{Progress, Source};
use crate::embedded::data::{
    Block, CHECKSUM_FLETCHER_4, CHECKSUM_OFF, Content, Dnode, DnodeBlock, Encryption,
    LARGE_BLOCK_FROM, SLOTS_PER_BLOCK,
};
use crate::kernel::Errno;
use crate::nvlist::ByteOrder;
use crate::stream::{
    Begin, Compression, CryptParams, DedupKey, End, Fletcher4, Free, FreeObjects, Object,
    ObjectRange, ObjectType, Problem, RAW_SWAPPED, RECORD_BYTES, Record, Redact, Spill,
    StreamFeatures, StreamWriter, Write, WriteEmbedded,
};
use crate::units::Guid;

/// The key of the block will do for deduplication: `DRR_CHECKSUM_DEDUP`.
const STRONG_CHECKSUM: u8 = 1 << 0;

/// A spill block that the receiver has already: `DRR_SPILL_UNMODIFIED`.
const SPILL_UNMODIFIED: u8 = 1 << 2;

/// The first checksum that is strong enough for deduplication: `ZIO_CHECKSUM_SHA256`; `NOPARITY` and `ZILOG2` behind it are not.
const STRONG: [u8; 5] = [8, 11, 12, 13, 14];

/// Makes records of ranges, which must come in ascending order.
pub(super) struct Dumper<'a, W> {
    source: &'a Source,
    features: StreamFeatures,
    output: Output<W>,
    progress: &'a Progress,
    /// Object and offset where a resumed stream goes on.
    pub(super) resume: (u64, u64),
    /// A record that may still become longer.
    pending: Option<Record>,
    /// The block of dnodes whose bonus buffers were deciphered last, by its first object.
    opened: Option<(u64, DnodeBlock)>,
}

enum Output<W> {
    Stream(Box<StreamWriter<W>>),
    /// Nothing is written, only counted.
    Measure,
}

impl<'a, W: io::Write> Dumper<'a, W> {
    pub(super) fn to_stream(
        source: &'a Source,
        features: StreamFeatures,
        output: W,
        progress: &'a Progress,
    ) -> Self {
        let output = Output::Stream(Box::new(StreamWriter::new(output)));
        Self { source, features, output, progress, resume: (0, 0), pending: None, opened: None }
    }

    pub(super) fn to_measure(
        source: &'a Source,
        features: StreamFeatures,
        progress: &'a Progress,
    ) -> Self {
        let output = Output::Measure;
        Self { source, features, output, progress, resume: (0, 0), pending: None, opened: None }
    }

    pub(super) fn features(&self) -> StreamFeatures {
        self.features
    }

    pub(super) fn progress(&self) -> &'a Progress {
        self.progress
    }

    pub(super) fn begin(&mut self, begin: Begin, list: &[u8]) -> Result<(), Errno> {
        self.put(&Record::Begin(begin), list)
    }

    /// Writes what is pending, and the end; a stream of what a partial receive has saved has none.
    pub(super) fn end(&mut self, with_end: bool) -> Result<(), Errno> {
        if let Some(record) = self.pending.take() {
            self.put(&record, &[])?;
        }
        if with_end {
            self.put(&Record::End(End { to_guid: self.guid(), ..End::default() }), &[])?;
        }
        Ok(())
    }

    pub(super) fn dump(&mut self, range: &Range<'_>) -> Result<(), Errno> {
        let Range { object, start, end, kind } = *range;
        match kind {
            Kind::Object { dnode, block, spill } => {
                self.dnode(object, dnode, block)?;
                match (dnode, spill) {
                    (Some(dnode), Some(spill)) => self.block(object, SPILL_BLOCK, dnode, spill),
                    _ => Ok(()),
                }
            }
            Kind::ObjectRange(block) => self.object_range(start, block),
            Kind::Data { dnode, block } => self.block(object, start, dnode, block),
            Kind::Redact { block_bytes } => {
                let size = u64::from(block_bytes);
                let length = end.saturating_sub(start).saturating_mul(size);
                self.redact(object, start.saturating_mul(size), length)
            }
            Kind::Hole { .. } if object == 0 => {
                let first = start.saturating_mul(SLOTS_PER_BLOCK);
                let count = end.saturating_mul(SLOTS_PER_BLOCK) - first;
                self.free_objects(first, count)
            }
            Kind::Hole { block_bytes } => {
                let size = u64::from(block_bytes);
                // Where that is too far it can never be anything but a hole.
                let Some(offset) = start.checked_mul(size) else { return Ok(()) };
                let length = end.saturating_mul(size) - offset;
                self.free(object, offset, length)
            }
            // These are looked up before.
            Kind::PreviouslyRedacted => Ok(()),
        }
    }

    fn dnode(
        &mut self,
        object: u64,
        dnode: Option<&Dnode>,
        block: &DnodeBlock,
    ) -> Result<(), Errno> {
        if object < self.resume.0 {
            return Ok(());
        }
        let Some(dnode) = dnode else { return self.free_objects(object, 1) };
        let large = self.features.contains(StreamFeatures::LARGE_BLOCKS);
        let block_bytes =
            if large { dnode.block_bytes } else { dnode.block_bytes.min(LARGE_BLOCK_FROM) };
        let mut record = Object {
            object,
            object_type: dnode.object_type,
            bonus_type: dnode.bonus_type,
            block_bytes,
            bonus_bytes: dnode.bonus_bytes,
            checksum_type: dnode.checksum,
            compression: dnode.compression,
            slots: dnode.slots,
            to_guid: self.guid(),
            ..Object::default()
        };
        let raw = self.features.contains(StreamFeatures::RAW);
        let mut bonus = self.bonus(object, dnode, block)?.to_vec();
        bonus.resize(dnode.bonus_bytes.next_multiple_of(8) as usize, 0);
        if raw {
            record.flags |= swapped(block.encryption());
            record.last_block = dnode.last_block;
            record.indirect_shift = dnode.indirect_shift();
            record.levels = dnode.blocks.levels();
            record.block_pointers = dnode.blocks.roots();
            if dnode.bonus_bytes > 0 {
                // All of the room for a bonus buffer is encrypted together.
                record.raw_bonus_bytes = dnode.bonus_area();
                bonus = dnode.bonus.to_vec();
                bonus.resize(record.raw_bonus_bytes as usize, 0);
            }
        }
        if dnode.spill.is_some() {
            record.flags |= Object::HAS_SPILL;
        }
        self.record(&Record::Object(record), &bonus)?;
        self.free(object, dnode.end(), u64::MAX)
    }

    /// The bonus buffer as it goes into the stream: deciphered unless that is raw.
    fn bonus(
        &mut self,
        object: u64,
        dnode: &Dnode,
        block: &DnodeBlock,
    ) -> Result<Arc<[u8]>, Errno> {
        let secret = block.encryption().is_some()
            && dnode.bonus_bytes != 0
            && dnode.bonus_type.is_encrypted();
        let raw = self.features.contains(StreamFeatures::RAW);
        if raw || !secret || matches!(self.output, Output::Measure) {
            return Ok(Arc::clone(&dnode.bonus));
        }
        let first = object - object % SLOTS_PER_BLOCK;
        if self.opened.as_ref().is_none_or(|(opened, _)| *opened != first) {
            let key = self.source.key.as_ref().ok_or(Errno::EACCES)?;
            self.opened = Some((first, block.opened(key)?));
        }
        let opened = self.opened.iter().flat_map(|(_, block)| block.dnodes());
        let found =
            opened.filter(|(slot, _)| first + slot == object).map(|(_, dnode)| dnode).next();
        Ok(Arc::clone(&found.ok_or(Errno::EIO)?.bonus))
    }

    fn object_range(&mut self, number: u64, block: &DnodeBlock) -> Result<(), Errno> {
        if !self.features.contains(StreamFeatures::RAW) {
            return Ok(());
        }
        let encryption = block.encryption().copied().unwrap_or_default();
        let record = ObjectRange {
            first: number * SLOTS_PER_BLOCK,
            slots: SLOTS_PER_BLOCK,
            to_guid: self.guid(),
            crypt: encryption.crypt,
            flags: swapped(Some(&encryption)),
        };
        self.record(&Record::ObjectRange(record), &[])
    }

    /// A block of data, or a spill block.
    fn block(
        &mut self,
        object: u64,
        number: u64,
        dnode: &Dnode,
        block: &Block,
    ) -> Result<(), Errno> {
        if number == SPILL_BLOCK {
            return self.spill(object, block);
        }
        let offset = number.saturating_mul(dnode.block_bytes.into());
        if self.is_sent_embedded(block) {
            return self.embedded(object, offset, dnode, block);
        }
        let large = self.features.contains(StreamFeatures::LARGE_BLOCKS);
        if block.logical_bytes > LARGE_BLOCK_FROM && !large {
            let plain = self.plain(block)?;
            let mut at = offset;
            for part in plain.chunks(LARGE_BLOCK_FROM as usize) {
                self.write(object, dnode.object_type, at, part)?;
                at = at.saturating_add(part.len() as u64);
            }
            return Ok(());
        }
        let mut record = Write {
            object,
            object_type: dnode.object_type,
            offset,
            logical_bytes: block.logical_bytes.into(),
            to_guid: self.guid(),
            checksum_type: CHECKSUM_OFF,
            ..Write::default()
        };
        let raw = self.features.contains(StreamFeatures::RAW);
        let as_stored = self.features.contains(StreamFeatures::COMPRESSED)
            && !block.is_embedded()
            && !block.metadata
            && block.compression != Compression::OFF;
        if raw || as_stored {
            record.compression = block.compression;
            record.compressed_bytes = block.physical_bytes().into();
        }
        let encryption = block.encryption();
        if let Some(encryption) = encryption.filter(|_| raw) {
            record.crypt = encryption.crypt;
            record.flags |= swapped(Some(encryption));
        }
        if !block.is_embedded() && (raw || encryption.is_none()) {
            record.checksum_type = block.checksum;
            record.flags |= u8::from(STRONG.contains(&block.checksum)) * STRONG_CHECKSUM;
            record.key = self.key(block);
        }
        if raw {
            let (Content::Stored(data) | Content::Embedded(data) | Content::Encrypted(data, _)) =
                &block.content;
            let data = data.clone();
            return self.record(&Record::Write(record), &data);
        }
        if as_stored {
            let data = self.compressed(block)?;
            return self.record(&Record::Write(record), &data);
        }
        let plain = self.plain(block)?;
        self.record(&Record::Write(record), &plain)
    }

    /// A part of a block that is too large for the stream.
    fn write(
        &mut self,
        object: u64,
        object_type: ObjectType,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Errno> {
        let record = Write {
            object,
            object_type,
            offset,
            logical_bytes: data.len() as u64,
            to_guid: self.guid(),
            checksum_type: CHECKSUM_OFF,
            ..Write::default()
        };
        self.record(&Record::Write(record), data)
    }

    fn embedded(
        &mut self,
        object: u64,
        offset: u64,
        dnode: &Dnode,
        block: &Block,
    ) -> Result<(), Errno> {
        let Content::Embedded(data) = &block.content else { return Err(Errno::EIO) };
        let record = WriteEmbedded {
            object,
            offset,
            length: dnode.block_bytes.into(),
            to_guid: self.guid(),
            compression: block.compression,
            embedded_type: 0,
            logical_bytes: block.logical_bytes,
            physical_bytes: block.physical_bytes(),
        };
        let mut data = data.to_vec();
        data.resize(data.len().next_multiple_of(8), 0);
        self.record(&Record::WriteEmbedded(record), &data)
    }

    fn spill(&mut self, object: u64, block: &Block) -> Result<(), Errno> {
        let mut record = Spill {
            object,
            length: block.logical_bytes.into(),
            to_guid: self.guid(),
            ..Spill::default()
        };
        if block.birth <= self.source.from.as_ref().map_or(0, |from| from.txg) {
            record.flags |= SPILL_UNMODIFIED;
        }
        if let (true, Content::Encrypted(data, encryption)) =
            (self.features.contains(StreamFeatures::RAW), &block.content)
        {
            record.flags |= swapped(Some(encryption));
            record.compression = block.compression;
            record.compressed_bytes = block.physical_bytes().into();
            record.crypt = encryption.crypt;
            let data = data.clone();
            return self.record(&Record::Spill(record), &data);
        }
        let plain = self.plain(block)?;
        self.record(&Record::Spill(record), &plain)
    }

    /// A hole, joined with the one before where they touch.
    fn free(&mut self, object: u64, offset: u64, length: u64) -> Result<(), Errno> {
        if let Some(Record::Free(pending)) = &mut self.pending {
            if pending.object == object
                && pending.offset.checked_add(pending.length) == Some(offset)
            {
                let fits = length != u64::MAX && offset.checked_add(length).is_some();
                pending.length = if fits { pending.length + length } else { u64::MAX };
                return Ok(());
            }
        }
        self.flush()?;
        let to_guid = self.guid();
        let whole = offset.checked_add(length).map_or(u64::MAX, |_| length);
        let record = Record::Free(Free { object, offset, length: whole, to_guid });
        if length == u64::MAX {
            return self.put_or_interrupt(&record, &[]);
        }
        self.pending = Some(record);
        Ok(())
    }

    fn redact(&mut self, object: u64, offset: u64, length: u64) -> Result<(), Errno> {
        if let Some(Record::Redact(pending)) = &mut self.pending {
            if pending.object == object
                && pending.offset.checked_add(pending.length) == Some(offset)
            {
                pending.length = pending.length.saturating_add(length);
                return Ok(());
            }
        }
        self.flush()?;
        let to_guid = self.guid();
        self.pending = Some(Record::Redact(Redact { object, offset, length, to_guid }));
        Ok(())
    }

    /// Objects that are not there, up to the last there could be.
    fn free_objects(&mut self, first: u64, count: u64) -> Result<(), Errno> {
        let end = (self.source.objset.last_dnode_block() + 1) * SLOTS_PER_BLOCK;
        if end <= first {
            return Ok(());
        }
        let count = count.min(end - first);
        if let Some(Record::FreeObjects(pending)) = &mut self.pending {
            if pending.first + pending.count == first {
                pending.count += count;
                return Ok(());
            }
        }
        self.flush()?;
        let to_guid = self.guid();
        self.pending = Some(Record::FreeObjects(FreeObjects { first, count, to_guid }));
        Ok(())
    }

    /// Whether a block goes as it lives in its pointer.
    fn is_sent_embedded(&self, block: &Block) -> bool {
        let compression = block.compression;
        block.is_embedded()
            && (compression < Compression::LZ4 || self.features.contains(StreamFeatures::LZ4))
            && (compression != Compression::ZSTD || self.features.contains(StreamFeatures::ZSTD))
            && self.features.contains(StreamFeatures::EMBED_DATA)
    }

    /// What a block is known by where it is deduplicated. Checksums other than Fletcher4 are left out: nobody looks at them.
    fn key(&self, block: &Block) -> DedupKey {
        let sectors = |bytes: u32| u64::from((bytes / 512).saturating_sub(1));
        let encryption = match &block.content {
            Content::Encrypted(_, encryption) => Some(encryption),
            _ => None,
        };
        let properties = sectors(block.logical_bytes)
            | sectors(block.physical_bytes()) << 16
            | u64::from(block.compression.0) << 32
            | u64::from(encryption.is_some()) << 39;
        let measured = matches!(self.output, Output::Measure);
        let mut checksum = [0; 4];
        if let (false, CHECKSUM_FLETCHER_4, Content::Stored(data) | Content::Encrypted(data, _)) =
            (measured, block.checksum, &block.content)
        {
            let mut sum = Fletcher4::new(ByteOrder::HOST);
            sum.update(data);
            checksum = sum.value().0;
            if let Some(encryption) = encryption {
                checksum = with_mac(checksum, &encryption.crypt);
            }
        }
        DedupKey { checksum, properties }
    }

    /// The plain content; only its length matters where nothing is written.
    fn plain(&self, block: &Block) -> Result<Vec<u8>, Errno> {
        match self.output {
            Output::Measure => Ok(vec![0; block.logical_bytes as usize]),
            Output::Stream(_) => Ok(block.plain(self.source.key.as_deref())?.into_owned()),
        }
    }

    /// The same, still compressed.
    fn compressed(&self, block: &Block) -> Result<Vec<u8>, Errno> {
        match self.output {
            Output::Measure => Ok(vec![0; block.physical_bytes() as usize]),
            Output::Stream(_) => Ok(block.compressed(self.source.key.as_deref())?.into_owned()),
        }
    }

    fn guid(&self) -> Guid {
        Guid::new(self.source.guid)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        match self.pending.take() {
            Some(record) => self.put_or_interrupt(&record, &[]),
            None => Ok(()),
        }
    }

    /// Writes what is pending, and this.
    fn record(&mut self, record: &Record, payload: &[u8]) -> Result<(), Errno> {
        self.flush()?;
        self.put_or_interrupt(record, payload)
    }

    /// In the middle of a stream OpenZFS forgets why it could not write.
    fn put_or_interrupt(&mut self, record: &Record, payload: &[u8]) -> Result<(), Errno> {
        self.put(record, payload).map_err(|_| Errno::EINTR)
    }

    fn put(&mut self, record: &Record, payload: &[u8]) -> Result<(), Errno> {
        let bytes = RECORD_BYTES as u64 + record.payload_bytes();
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
        let Output::Stream(writer) = &mut self.output else { return Ok(()) };
        writer.write(record, payload).map_err(|error| match error.problem() {
            Problem::Io(error) => Errno(error.raw_os_error().unwrap_or(Errno::EIO.0)),
            _ => Errno::EINVAL,
        })
    }
}

/// Half of a block's own checksum gives way to what authenticates it. OpenZFS 2.3 `module/zfs/zio_checksum.c`,
/// `zio_checksum_handle_crypt`.
fn with_mac([a, b, c, d]: [u64; 4], crypt: &CryptParams) -> [u64; 4] {
    let word = |at: usize| {
        let bytes = crypt.mac.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    [a ^ c, b ^ d, word(0), word(8)]
}

fn swapped(encryption: Option<&Encryption>) -> u8 {
    if encryption.is_some_and(|encryption| encryption.swapped) { RAW_SWAPPED } else { 0 }
}
