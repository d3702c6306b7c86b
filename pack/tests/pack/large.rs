//! Files of more than 8 GiB in the formats that hold no layers.

use std::{
    error::Error,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use pack::{Compression, Format, PackOptions};
use store::{MemoryNode, ObjectId, PathDigest, PathInfo, StorePath, testing::register};

use crate::{
    fixture::{Fixture, TestResult},
    start::startable,
};

/// What no twelve octal digits and no 32 bits hold.
const SIZE: u64 = (8 << 30) + 1;
/// What its last byte is; all before are zeros.
const LAST: u8 = b'!';

/// A program, and a package with a disk that is nearly empty.
///
/// It is put into the store by hand: to add it would be to read all of it.
fn with_disk() -> Result<(Fixture, PathInfo, PathInfo), Box<dyn Error>> {
    let (fixture, app) = startable()?;
    let mut tree = MemoryNode::directory();
    tree.insert("share/disk", MemoryNode::file(""))?;
    let empty = fixture.store.add_tree("empty-disk-1", tree, &[])?;
    let disk = PathInfo {
        path: StorePath::new(PathDigest::from_bytes([7; 25]), "disk-1".parse()?),
        id: ObjectId::from_bytes([7; 32]),
        size_bytes: SIZE,
        ..empty
    };
    let share = fixture.store.real_path(&disk.path).join("share");
    fs::create_dir_all(&share)?;
    let mut file = File::create_new(share.join("disk"))?;
    file.seek(SeekFrom::Start(SIZE - 1))?;
    file.write_all(&[LAST])?;
    file.set_permissions(fs::Permissions::from_mode(0o444))?;
    let database = fixture.store.root().join("var/db.sqlite");
    register(&database, std::slice::from_ref(&disk))?;
    Ok((fixture, app, disk))
}

fn in_image(disk: &PathInfo) -> String {
    format!("{}/share/disk", disk.path.to_logical())
}

fn pack(format: Format) -> Result<(Fixture, PathBuf, String), Box<dyn Error>> {
    let (fixture, app, disk) = with_disk()?;
    let options = PackOptions {
        // The quickest with zeros.
        compression: Compression::Zstd,
        ..PackOptions::default()
    };
    let place = fixture.place("image");
    fixture.pack(&[&app, &disk], &fixture.spec(), &options, format, &place)?;
    let inside = in_image(&disk);
    Ok((fixture, place, inside))
}

fn check_file(file: &Path) -> TestResult {
    let found = fs::metadata(file)?;
    assert_eq!(found.len(), SIZE);
    assert!(
        found.blocks() * 512 < 1 << 20,
        "a hole takes {} blocks",
        found.blocks()
    );
    let mut file = File::open(file)?;
    file.seek(SeekFrom::End(-2))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    assert_eq!(end, [0, LAST]);
    Ok(())
}

#[test]
fn a_directory_has_its_holes() -> TestResult {
    let (_fixture, place, inside) = pack(Format::Directory)?;
    check_file(&place.join(&inside[1..]))
}

#[test]
fn a_bundle_has_its_holes() -> TestResult {
    let (_fixture, place, inside) = pack(Format::Bundle)?;
    check_file(&place.join("rootfs").join(&inside[1..]))
}

#[test]
fn an_initramfs_is_refused_before_anything_is_written() -> TestResult {
    let (fixture, app, disk) = with_disk()?;
    let place = fixture.place("image");
    let options = PackOptions::default();
    let packed = fixture.pack(
        &[&app, &disk],
        &fixture.spec(),
        &options,
        Format::Initramfs,
        &place,
    );
    let error = packed.err().ok_or("it cannot hold it")?;
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` is too large for an image as `initramfs`, which holds files of up to 4294967295 bytes; nothing was written",
            in_image(&disk)
        )
    );
    assert!(!place.exists());
    assert_eq!(fixture.left_overs()?, Vec::<PathBuf>::new());
    assert_eq!(fixture.take_encoded(), 0, "no file was read");
    Ok(())
}

/// Reads what a command says to the end, and returns how long it is and how it ends.
fn read_whole(command: &mut Command) -> Result<(u64, Option<u8>), Box<dyn Error>> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().ok_or("it is piped")?;
    let mut part = vec![0; 1 << 20];
    let (mut length, mut last) = (0, None);
    loop {
        let read = output.read(&mut part)?;
        if read == 0 {
            break;
        }
        length += read as u64;
        last = Some(part[read - 1]);
    }
    assert!(child.wait()?.success(), "{command:?}");
    Ok((length, last))
}

/// Reading 8 GiB of zeros takes seconds, so that this is for full runs, as all that follows.
#[test]
fn a_squashfs_has_all_of_it() -> TestResult {
    if !is_full() {
        return Ok(());
    }
    let (_fixture, place, inside) = pack(Format::Squashfs)?;
    let mut list = Command::new("unsquashfs");
    let found = read_whole(list.arg("-cat").arg(&place).arg(&inside[1..]))?;
    assert_eq!(found, (SIZE, Some(LAST)));
    Ok(())
}

#[test]
fn a_self_extracting_file_has_all_of_it() -> TestResult {
    if !is_full() {
        return Ok(());
    }
    let (_fixture, place, inside) = pack(Format::Run)?;
    let bytes = fs::read(&place)?;
    let magic = zstd::zstd_safe::MAGICNUMBER.to_le_bytes();
    let start = bytes.windows(4).position(|window| window == magic);
    let payload = &bytes[start.ok_or("it has a payload")?..];
    let mut archive = tar::Archive::new(zstd::Decoder::new(payload)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if *entry.path_bytes() != inside.as_bytes()[1..] {
            continue;
        }
        assert_eq!(entry.size(), SIZE);
        let mut part = vec![0; 1 << 20];
        let (mut length, mut last) = (0, None);
        loop {
            let read = entry.read(&mut part)?;
            if read == 0 {
                break;
            }
            length += read as u64;
            last = Some(part[read - 1]);
        }
        assert_eq!((length, last), (SIZE, Some(LAST)));
        return Ok(());
    }
    Err("the file is not there".into())
}

fn is_full() -> bool {
    std::env::var_os("PITH_TEST_FULL").is_some_and(|value| !value.is_empty())
}
