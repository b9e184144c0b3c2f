//! SHA-256 (FIPS 180-4). Where crates may be fetched, take the crate `sha2` in its place.

/// The first 32 bits of the fractional parts of a root of the first primes.
fn primes(count: usize) -> impl Iterator<Item = u32> {
    (2u32..).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).take(count)
}

/// 32 bits of the fraction of the `n`-th root (2 or 3) of `of`, by bisection on integers.
fn fraction(of: u32, n: u32) -> u32 {
    let power = |x: u128| if n == 2 { x * x } else { x * x * x };
    let target = u128::from(of) << (32 * n);
    let (mut low, mut high) = (0u128, 1u128 << 37);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if power(middle) <= target {
            low = middle
        } else {
            high = middle
        }
    }
    low as u32
}

/// The digest in 64 hexadecimal digits.
pub fn hex(message: &[u8]) -> String {
    let rounds: Vec<u32> = primes(64).map(|prime| fraction(prime, 3)).collect();
    let mut state: Vec<u32> = primes(8).map(|prime| fraction(prime, 2)).collect();
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if message.len() % 64 > 55 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len();
    padded[end - 8..].copy_from_slice(&(8 * message.len() as u64).to_be_bytes());
    for block in padded.chunks_exact(64) {
        compress(&mut state, block, &rounds);
    }
    state.iter().map(|word| format!("{word:08x}")).collect()
}

fn compress(state: &mut [u32], block: &[u8], rounds: &[u32]) {
    let mut w: Vec<u32> =
        block.chunks_exact(4).map(|four| u32::from_be_bytes(four.try_into().unwrap())).collect();
    for i in 16..64 {
        let (a, b) = (w[i - 15], w[i - 2]);
        let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
        let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
        w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
    }
    let mut v: [u32; 8] = state.try_into().unwrap();
    for i in 0..64 {
        let [a, b, c, d, e, f, g, h] = v;
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let chosen = (e & f) ^ (!e & g);
        let one =
            h.wrapping_add(s1).wrapping_add(chosen).wrapping_add(rounds[i]).wrapping_add(w[i]);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let two = s0.wrapping_add((a & b) ^ (a & c) ^ (b & c));
        v = [one.wrapping_add(two), a, b, c, d.wrapping_add(one), e, f, g];
    }
    for (word, own) in state.iter_mut().zip(v) {
        *word = word.wrapping_add(own);
    }
}
