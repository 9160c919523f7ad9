//! Connections that are served in parallel, each within a deadline, and only up to a maximum number.
//!
//! A client that sends nothing, or a byte now and then, or reads nothing, blocks only its own connection. When all places are
//! occupied, the oldest connection is closed for a new one: a client that sends its request immediately is answered immediately.

use crate::log::tell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Maximum number of open connections.
const MAX_OPEN: usize = 64;
/// Length of the longest request that is read, in bytes.
const REQUEST_BYTES: usize = 8192;
/// Time for a request and its answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Pause after a connection that could not be accepted: the system may be out of file descriptors for a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers connections for as long as the process lives. `answer` makes the whole response from the beginning of a request.
pub(super) fn serve(
    listener: &TcpListener,
    answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    let open = Arc::new(Open::default());
    let mut is_failing = false;
    for (number, stream) in (0..).zip(listener.incoming()) {
        // Without a second handle the connection could not be closed for a newer one.
        let (stream, handle) = match stream.and_then(|s| s.try_clone().map(|handle| (s, handle))) {
            Ok(both) => both,
            Err(fault) => {
                report(&fault, &mut is_failing);
                std::thread::sleep(ACCEPT_PAUSE);
                continue;
            }
        };
        open.add(number, handle);
        let (answer, theirs) = (Arc::clone(&answer), Arc::clone(&open));
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
            // A client that disconnects is not a failure of this process.
            let _ = respond(stream, &*answer);
            theirs.remove(number);
        });
        match thread {
            Ok(_) => is_failing = false,
            Err(fault) => {
                open.remove(number);
                report(&fault, &mut is_failing);
            }
        }
    }
}

/// Reports a connection that cannot be served, once until one can be served again.
fn report(fault: &io::Error, is_failing: &mut bool) {
    if !std::mem::replace(is_failing, true) {
        tell!(ERROR, "connection_not_served", "/metrics and /healthz: no connection: {fault}");
    }
}

/// The open connections, the oldest first.
#[derive(Default)]
struct Open(Mutex<VecDeque<(u64, TcpStream)>>);

impl Open {
    fn add(&self, number: u64, stream: TcpStream) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_OPEN
            && let Some((_, oldest)) = open.pop_front()
        {
            // The thread of the connection reads the end of the stream and finishes.
            let _ = oldest.shutdown(Shutdown::Both);
        }
        open.push_back((number, stream));
    }

    fn remove(&self, number: u64) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(other, _)| *other != number);
    }
}

fn respond(mut stream: TcpStream, answer: &dyn Fn(&[u8]) -> Vec<u8>) -> io::Result<()> {
    let until = Instant::now() + DEADLINE;
    let request = read_request(&mut stream, until)?;
    let response = answer(&request);
    let mut left = response.as_slice();
    while !left.is_empty() {
        stream.set_write_timeout(Some(time_left(until)?))?;
        match stream.write(left)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => left = &left[written..],
        }
    }
    stream.flush()
}

/// Reads a request up to the empty line that ends its head, the end of the stream or `REQUEST_BYTES`.
fn read_request(stream: &mut TcpStream, until: Instant) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") && request.len() < REQUEST_BYTES {
        stream.set_read_timeout(Some(time_left(until)?))?;
        match stream.read(&mut part)? {
            0 => break,
            read => request.extend_from_slice(&part[..read]),
        }
    }
    Ok(request)
}

fn time_left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || serve(&listener, |request| request.to_ascii_uppercase()));
        address
    }

    fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"get /\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Checks that silent connections delay no answer: they stay open, and the oldest ones are closed for new ones.
    #[test]
    fn silent_clients_block_no_other_client() {
        let address = server();
        let silent: Vec<TcpStream> =
            (0..3 * MAX_OPEN).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert_eq!(ask(address), "GET /\r\n\r\n");
        let mut first = &silent[0];
        first.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        assert_eq!(first.read(&mut [0; 1]).unwrap(), 0, "it gave way");
        assert_eq!(ask(address), "GET /\r\n\r\n");
    }

    #[test]
    fn a_dripping_client_is_cut_at_the_deadline() {
        let address = server();
        let mut slow = TcpStream::connect(address).unwrap();
        slow.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let began = Instant::now();
        let ended = loop {
            let _ = slow.write(b"x");
            match slow.read(&mut [0; 1]) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => {}
                ended => break ended,
            }
            assert!(began.elapsed() < Duration::from_secs(120), "nobody cuts it");
        };
        assert!(!matches!(ended, Ok(n) if n > 0), "it was answered: {ended:?}");
        assert!(began.elapsed() >= DEADLINE / 2, "it was cut too early");
        assert_eq!(ask(address), "GET /\r\n\r\n");
    }
}
