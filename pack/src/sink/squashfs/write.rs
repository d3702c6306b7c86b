//! From an image to the file: data while the store is read, then the tables, at last the beginning.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use super::{
    block::{BLOCK_BYTES, Crew, Packer},
    metadata::Table,
    superblock::{NO_TABLE, SUPERBLOCK_BYTES, Superblock},
    tree::{Contents, tables},
};
use crate::{
    Event, Image,
    layer::LayerError,
    sink::{
        Format, SinkError, Written,
        directory::{Wanted, wanted},
        place::NewFile,
        receipt::Receipts,
    },
};

/// The mode of the root directory.
const ROOT_MODE: u32 = 0o755;
/// The file is filled up to a multiple of this, or loop devices cut it off.
const PADDING_BYTES: u64 = 4 << 10;

pub(in crate::sink) fn write(image: &Image<'_>, path: &Path) -> Result<Written, SinkError> {
    let receipts = Receipts::new(image, &[], path, Format::Squashfs);
    if let Some(written) = receipts.find(path) {
        return Ok(written);
    }
    image.tell_one_started();
    let mut tree = wanted(image)?;
    tree.insert(Vec::new(), Wanted::Directory { mode: ROOT_MODE });
    let mut new = NewFile::beside(path)?;
    let target = new.target().to_path_buf();
    let mut data = Data {
        file: new.file(),
        target: &target,
        position: SUPERBLOCK_BYTES,
        crew: Crew::new(image.options.compression, image.options.threads)?,
        blocks: Vec::new(),
        contents: BTreeMap::new(),
        small: Vec::new(),
        fragments: Vec::new(),
        shared: HashMap::new(),
    };
    data.seek(SUPERBLOCK_BYTES)?;
    let mut read_bytes = 0;
    for (path, entry) in &tree {
        let added = data.add(path, entry)?;
        if added > 0 {
            (image.events)(Event::Encoded { tar_bytes: added });
        }
        read_bytes += added;
    }
    data.finish(image, &tree)?;
    receipts.finish(new, path, None, read_bytes)
}

/// Whose a block is.
enum Owner<'a> {
    /// The next block of the file at this path.
    File(&'a [u8]),
    /// The shared block with the next number.
    Shared,
}

/// The file that is being written, up to its tables.
struct Data<'a> {
    file: &'a mut File,
    target: &'a Path,
    position: u64,
    crew: Crew,
    /// Blocks that are not compressed yet.
    blocks: Vec<(Owner<'a>, Vec<u8>)>,
    contents: BTreeMap<&'a [u8], Contents>,
    /// The shared block that is being filled.
    small: Vec<u8>,
    /// Where the shared blocks lie, and their sizes.
    fragments: Vec<(u64, u32)>,
    /// The small files by the digest of their bytes.
    shared: HashMap<blake3::Hash, (u32, u32)>,
}

impl<'a> Data<'a> {
    /// Adds the bytes of a file. Returns how many came from the store.
    fn add(&mut self, path: &'a [u8], entry: &Wanted<'_>) -> Result<u64, SinkError> {
        match entry {
            Wanted::Directory { .. } | Wanted::Symlink { .. } => Ok(0),
            Wanted::Generated { contents, .. } => {
                let target = self.target;
                self.add_bytes(path, &mut &contents[..], contents.len() as u64, target)?;
                Ok(0)
            }
            Wanted::Stored {
                real, size_bytes, ..
            } => {
                let error = |source| LayerError::Read {
                    path: real.clone(),
                    source,
                };
                let mut file = File::open(real).map_err(error)?;
                self.add_bytes(path, &mut file, *size_bytes, real)?;
                Ok(*size_bytes)
            }
        }
    }

    fn add_bytes(
        &mut self,
        path: &'a [u8],
        reader: &mut dyn Read,
        size_bytes: u64,
        real: &Path,
    ) -> Result<(), SinkError> {
        let read = |reader: &mut dyn Read, limit: usize| {
            let mut block = Vec::with_capacity(limit);
            let read = reader.take(limit as u64).read_to_end(&mut block);
            read.map(|_| block).map_err(|source| LayerError::Read {
                path: real.to_path_buf(),
                source,
            })
        };
        let mut fragment = None;
        let mut rest = size_bytes;
        let is_small = size_bytes < BLOCK_BYTES as u64;
        while rest > 0 {
            let limit = usize::try_from(rest).map_or(BLOCK_BYTES, |rest| rest.min(BLOCK_BYTES));
            let block = read(reader, limit)?;
            if block.len() != limit {
                return Err(resized(real));
            }
            rest -= limit as u64;
            if is_small {
                fragment = Some(self.share(&block)?);
            } else {
                self.push(Owner::File(path), block)?;
            }
        }
        if !read(reader, 1)?.is_empty() {
            return Err(resized(real));
        }
        // Blocks of it may be on the disk already.
        let known = self.contents.entry(path).or_default();
        known.size_bytes = size_bytes;
        known.fragment = fragment;
        Ok(())
    }

    /// Puts the bytes of a small file into a shared block. Returns its number and where.
    fn share(&mut self, bytes: &[u8]) -> Result<(u32, u32), SinkError> {
        let digest = blake3::hash(bytes);
        if let Some(known) = self.shared.get(&digest) {
            return Ok(*known);
        }
        if self.small.len() + bytes.len() > BLOCK_BYTES {
            self.close_small()?;
        }
        let waiting = self.blocks.iter();
        let waiting = waiting.filter(|(owner, _)| matches!(owner, Owner::Shared));
        let number = u32::try_from(self.fragments.len() + waiting.count());
        let offset = u32::try_from(self.small.len());
        let (Ok(number), Ok(offset)) = (number, offset) else {
            return Err(self.too_large());
        };
        self.small.extend_from_slice(bytes);
        self.shared.insert(digest, (number, offset));
        Ok((number, offset))
    }

    fn close_small(&mut self) -> Result<(), SinkError> {
        if self.small.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.small);
        self.push(Owner::Shared, block)
    }

    fn push(&mut self, owner: Owner<'a>, block: Vec<u8>) -> Result<(), SinkError> {
        self.blocks.push((owner, block));
        if self.blocks.len() >= self.crew.round() {
            self.write_blocks()?;
        }
        Ok(())
    }

    /// Compresses what waits and writes it.
    fn write_blocks(&mut self) -> Result<(), SinkError> {
        let waiting = std::mem::take(&mut self.blocks);
        let blocks: Vec<&[u8]> = waiting.iter().map(|(_, block)| block.as_slice()).collect();
        let packed = self.crew.pack(&blocks)?;
        for ((owner, _), packed) in waiting.iter().zip(packed) {
            let start = self.position;
            self.append(&packed.bytes)?;
            match owner {
                Owner::Shared => self.fragments.push((start, packed.size)),
                Owner::File(path) => {
                    let contents = self.contents.entry(path).or_default();
                    if contents.blocks.is_empty() {
                        contents.start = start;
                    }
                    contents.blocks.push(packed.size);
                }
            }
        }
        Ok(())
    }

    /// Writes the tables and the superblock.
    fn finish(
        mut self,
        image: &Image<'_>,
        tree: &BTreeMap<Vec<u8>, Wanted<'_>>,
    ) -> Result<(), SinkError> {
        self.close_small()?;
        self.write_blocks()?;
        let compression = image.options.compression;
        let mut packer = Packer::new(compression)?;
        let tables = tables(tree, &self.contents, &mut packer)?;
        let Some(tables) = tables else {
            return Err(self.too_large());
        };
        let mut superblock = Superblock {
            inodes: tables.count,
            root: u64::from(tables.root.block) << 16 | u64::from(tables.root.offset),
            fragment_table: NO_TABLE,
            ..Superblock::default()
        };
        superblock.inode_table = self.position;
        self.append(&tables.inodes.finish(&mut packer)?.0)?;
        superblock.directory_table = self.position;
        self.append(&tables.directories.finish(&mut packer)?.0)?;
        if !self.fragments.is_empty() {
            let Ok(count) = u32::try_from(self.fragments.len()) else {
                return Err(self.too_large());
            };
            superblock.fragments = count;
            let mut table = Table::default();
            for (start, size) in std::mem::take(&mut self.fragments) {
                let unused = [0; 4];
                let record = [&start.to_le_bytes()[..], &size.to_le_bytes(), &unused].concat();
                table.push(&record, &mut packer)?;
            }
            superblock.fragment_table = self.append_with_starts(table, &mut packer)?;
        }
        let mut owners = Table::default();
        let root = 0_u32;
        owners.push(&root.to_le_bytes(), &mut packer)?;
        superblock.id_table = self.append_with_starts(owners, &mut packer)?;
        superblock.bytes_used = self.position;
        let padding = self.position.next_multiple_of(PADDING_BYTES) - self.position;
        let padding = usize::try_from(padding).unwrap_or_default();
        self.append(&vec![0; padding])?;
        self.seek(0)?;
        self.append(&superblock.to_bytes(compression))
    }

    /// Writes a table, then the list of where its blocks begin. Returns where the list is.
    fn append_with_starts(&mut self, table: Table, packer: &mut Packer) -> Result<u64, SinkError> {
        let (bytes, starts) = table.finish(packer)?;
        let begin = self.position;
        self.append(&bytes)?;
        let list = self.position;
        for start in starts {
            self.append(&(begin + u64::from(start)).to_le_bytes())?;
        }
        Ok(list)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let written = self.file.write_all(bytes);
        written.map_err(SinkError::writing(self.target))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn seek(&mut self, position: u64) -> Result<(), SinkError> {
        let sought = self.file.seek(SeekFrom::Start(position));
        sought.map_err(SinkError::writing(self.target))?;
        self.position = position;
        Ok(())
    }

    fn too_large(&self) -> SinkError {
        SinkError::TooLarge {
            path: self.target.to_path_buf(),
            format: Format::Squashfs,
        }
    }
}

fn resized(real: &Path) -> SinkError {
    let path = real.to_path_buf();
    LayerError::Resized { path }.into()
}
