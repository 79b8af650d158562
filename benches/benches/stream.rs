//! How quick streams are checksummed, verified, read and written, in bytes a second.

#![expect(missing_docs, reason = "criterion's macros make public functions")]
#![expect(clippy::unwrap_used, reason = "a benchmark whose stream is not sound is to stop")]

use std::hint::black_box;
use std::io;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use zfsvol_benches::{read_and_sum, zvol_stream};
use zfsvol_core::nvlist::ByteOrder;
use zfsvol_core::stream::{
    ChecksumKernel, Fletcher4, StreamReader, StreamWriter, Tee, verify, verify_bytes,
};

/// More than any cache holds.
const STREAM_BYTES: usize = 256 << 20;

/// Blocks of databases, of file systems as they are by default, and of those with large files.
const BLOCKS: [usize; 3] = [8 << 10, 128 << 10, 1 << 20];

fn fletcher4(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fletcher4");
    let block = vec![0x5a; 128 << 10];
    group.throughput(Throughput::Bytes(block.len() as u64));
    for kernel in ChecksumKernel::available() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let id = BenchmarkId::new(format!("{kernel:?}"), format!("{order:?}"));
            group.bench_function(id, |bencher| {
                let mut sum = Fletcher4::with_kernel(order, kernel);
                bencher.iter(|| {
                    sum.update(black_box(&block));
                    sum.value()
                });
            });
        }
    }
}

fn stream(criterion: &mut Criterion) {
    for block_bytes in BLOCKS {
        let stream = zvol_stream(block_bytes, (STREAM_BYTES / block_bytes) as u64).unwrap();
        let mut group = criterion.benchmark_group(format!("blocks of {} KiB", block_bytes >> 10));
        group.throughput(Throughput::Bytes(stream.len() as u64)).sample_size(10);
        group.bench_function("read and sum", |b| b.iter(|| read_and_sum(black_box(&stream))));
        group.bench_function("verify_bytes", |b| {
            b.iter(|| verify_bytes(black_box(&stream)).unwrap());
        });
        group.bench_function("verify", |b| b.iter(|| verify(black_box(&stream[..])).unwrap()));
        group.bench_function("StreamReader::from_bytes", |b| {
            b.iter(|| {
                let mut reader = StreamReader::from_bytes(black_box(&stream));
                while reader.next_frame().unwrap().is_some() {}
            });
        });
        group.bench_function("StreamReader::new", |b| {
            b.iter(|| {
                let mut reader = StreamReader::new(black_box(&stream[..]));
                while reader.next_frame().unwrap().is_some() {}
            });
        });
        group.bench_function("Tee into nothing", |b| {
            b.iter(|| {
                let mut tee = Tee::new(black_box(&stream[..]));
                io::copy(&mut io::BufReader::with_capacity(256 << 10, &mut tee), &mut io::sink())
                    .unwrap();
                tee.finish().unwrap()
            });
        });
        group.bench_function("StreamWriter::copy into nothing", |b| {
            b.iter(|| {
                let mut reader = StreamReader::from_bytes(black_box(&stream));
                let mut writer = StreamWriter::new(io::sink());
                while let Some(frame) = reader.next_frame().unwrap() {
                    writer.copy(&frame).unwrap();
                }
                writer.finish().unwrap()
            });
        });
    }
}

criterion_group!(benches, fletcher4, stream);
criterion_main!(benches);
