//! A connection to a server on loopback that can be bad: broken, slow, or with corrupted bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The faults of a connection. All of them can be changed while it is in use.
#[derive(Debug, Default)]
pub struct Faults {
    /// Number of connections still to be cut, each after [`Faults::cut_after`] bytes from the server.
    pub cuts: AtomicI64,
    /// Bytes from the server after which a connection is cut.
    pub cut_after: AtomicU64,
    /// Number of connections still to be slow: a byte every 100 ms, after [`Faults::cut_after`] bytes have arrived.
    pub trickles: AtomicI64,
    /// Number of bytes still to be changed, the first [`Faults::corrupt_at`] bytes after the first of all connections.
    pub corruptions: AtomicI64,
    /// Position of the change.
    pub corrupt_at: AtomicU64,
    /// True when no connection is let through.
    pub is_down: AtomicBool,
    /// Number of open connections.
    pub open: AtomicUsize,
    /// Greatest number of connections that were open at a time.
    pub max_open: AtomicUsize,
    /// Number of bytes from the server.
    pub bytes: AtomicU64,
}

/// A relay, for as long as the process lives.
#[derive(Debug)]
pub struct Relay {
    /// The port on which it listens, on 127.0.0.1.
    pub port: u16,
    /// Its faults.
    pub faults: Arc<Faults>,
}

impl Relay {
    /// Makes a relay to a port of this machine.
    ///
    /// # Panics
    /// Panics when no port is available.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("its address").port();
        let faults = Arc::new(Faults::default());
        let shared = Arc::clone(&faults);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let faults = Arc::clone(&shared);
                std::thread::spawn(move || serve(&client, port, &faults));
            }
        });
        Self { port: own, faults }
    }
}

fn take_one(count: &AtomicI64) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n > 0).then_some(n - 1)).is_ok()
}

fn serve(client: &TcpStream, port: u16, faults: &Faults) {
    if faults.is_down.load(Ordering::SeqCst) {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let open = faults.open.fetch_add(1, Ordering::SeqCst) + 1;
    faults.max_open.fetch_max(open, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::copy(&mut &*client, &mut &server);
            let _ = server.shutdown(Shutdown::Write);
        });
        answer(&server, client, faults);
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    });
    faults.open.fetch_sub(1, Ordering::SeqCst);
}

/// Passes on bytes from the server, with the faults.
fn answer(mut server: &TcpStream, mut client: &TcpStream, faults: &Faults) {
    let (mut received, mut buffer) = (0_u64, vec![0; 1 << 16]);
    let is_slow = take_one(&faults.trickles);
    let mut is_cut = false;
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        if faults.is_down.load(Ordering::SeqCst) {
            return;
        }
        let (from, to) = (received, received + n as u64);
        received = to;
        let all = faults.bytes.fetch_add(n as u64, Ordering::SeqCst);
        let limit = faults.cut_after.load(Ordering::SeqCst);
        is_cut = is_cut || to > limit && take_one(&faults.cuts);
        let at = faults.corrupt_at.load(Ordering::SeqCst);
        if all >= at && take_one(&faults.corruptions) {
            buffer[n / 2] ^= 0x55;
        }
        let sound = usize::try_from(limit.saturating_sub(from)).unwrap_or(n).min(n);
        if is_cut {
            let _ = client.write_all(&buffer[..sound]);
            return;
        }
        if is_slow && to > limit {
            let _ = client.write_all(&buffer[..sound]);
            for byte in &buffer[sound..n] {
                std::thread::sleep(Duration::from_millis(100));
                if client.write_all(&[*byte]).is_err() {
                    return;
                }
            }
            continue;
        }
        if client.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}
