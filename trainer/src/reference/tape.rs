//! Reverse-mode differentiation of f64 scalars: a list of values and of what each depends on.

use std::ops::Range;

/// A number on a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var(usize);

/// The computation so far: each value with its derivatives by the values that it depends on.
///
/// The gradient is independent of the layers' own backward passes, so it shows a mistake in them.
#[derive(Debug, Default)]
pub struct Tape {
    values: Vec<f64>,
    edges: Vec<(usize, f64)>,
    ranges: Vec<Range<usize>>,
}

impl Tape {
    /// Puts an independent number on the tape.
    pub fn leaf(&mut self, value: f64) -> Var {
        self.node(value, [])
    }

    /// Puts several independent numbers on the tape.
    pub fn leaves(&mut self, values: &[f64]) -> Vec<Var> {
        values.iter().map(|&value| self.leaf(value)).collect()
    }

    /// Returns the value of a number.
    pub fn value(&self, var: Var) -> f64 {
        self.values[var.0]
    }

    /// Returns a + b.
    pub fn add(&mut self, a: Var, b: Var) -> Var {
        self.node(self.value(a) + self.value(b), [(a.0, 1.0), (b.0, 1.0)])
    }

    /// Returns a - b.
    pub fn sub(&mut self, a: Var, b: Var) -> Var {
        self.node(self.value(a) - self.value(b), [(a.0, 1.0), (b.0, -1.0)])
    }

    /// Returns a b.
    pub fn mul(&mut self, a: Var, b: Var) -> Var {
        let (x, y) = (self.value(a), self.value(b));
        self.node(x * y, [(a.0, y), (b.0, x)])
    }

    /// Returns a / b.
    pub fn div(&mut self, a: Var, b: Var) -> Var {
        let (x, y) = (self.value(a), self.value(b));
        self.node(x / y, [(a.0, 1.0 / y), (b.0, -x / (y * y))])
    }

    /// Returns `factor` a + `shift`.
    pub fn affine(&mut self, a: Var, factor: f64, shift: f64) -> Var {
        self.node(factor * self.value(a) + shift, [(a.0, factor)])
    }

    /// Returns the sum of the products of two lists.
    pub fn dot(&mut self, a: &[Var], b: &[Var]) -> Var {
        let value = a.iter().zip(b).map(|(&x, &y)| self.value(x) * self.value(y)).sum();
        let edges: Vec<(usize, f64)> = a
            .iter()
            .zip(b)
            .flat_map(|(&x, &y)| [(x.0, self.value(y)), (y.0, self.value(x))])
            .collect();
        self.node(value, edges)
    }

    /// Returns the sum of a list.
    pub fn sum(&mut self, terms: &[Var]) -> Var {
        let value = terms.iter().map(|&term| self.value(term)).sum();
        self.node(value, terms.iter().map(|term| (term.0, 1.0)))
    }

    /// Returns e to the power of a.
    pub fn exp(&mut self, a: Var) -> Var {
        let value = self.value(a).exp();
        self.node(value, [(a.0, value)])
    }

    /// Returns the natural logarithm.
    pub fn ln(&mut self, a: Var) -> Var {
        let x = self.value(a);
        self.node(x.ln(), [(a.0, 1.0 / x)])
    }

    /// Returns 1 / sqrt(a).
    pub fn inverse_sqrt(&mut self, a: Var) -> Var {
        let x = self.value(a);
        self.node(x.powf(-0.5), [(a.0, -0.5 * x.powf(-1.5))])
    }

    /// Returns 1 / (1 + e^-a).
    pub fn sigmoid(&mut self, a: Var) -> Var {
        let value = 1.0 / (1.0 + (-self.value(a)).exp());
        self.node(value, [(a.0, value * (1.0 - value))])
    }

    /// Returns a Φ(a), with the normal distribution's Φ.
    pub fn gelu(&mut self, a: Var) -> Var {
        let x = self.value(a);
        let phi = 0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
        let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        self.node(x * phi, [(a.0, phi + x * density)])
    }

    /// Returns the derivatives of `of` by every number on the tape.
    pub fn gradient(&self, of: Var) -> Gradient {
        let mut slopes = vec![0.0; self.values.len()];
        slopes[of.0] = 1.0;
        for node in (0..=of.0).rev() {
            let slope = slopes[node];
            if slope != 0.0 {
                for &(parent, partial) in &self.edges[self.ranges[node].clone()] {
                    slopes[parent] += slope * partial;
                }
            }
        }
        Gradient { slopes }
    }

    fn node(&mut self, value: f64, edges: impl IntoIterator<Item = (usize, f64)>) -> Var {
        let start = self.edges.len();
        self.edges.extend(edges);
        self.ranges.push(start..self.edges.len());
        self.values.push(value);
        Var(self.values.len() - 1)
    }
}

/// The derivatives of one number by all others.
#[derive(Debug)]
pub struct Gradient {
    slopes: Vec<f64>,
}

impl Gradient {
    /// Returns the derivatives by a list of numbers.
    pub fn by(&self, vars: &[Var]) -> Vec<f64> {
        vars.iter().map(|var| self.slopes[var.0]).collect()
    }
}

/// The complementary error function: a Taylor series near 0, a continued fraction far from it.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let scale = std::f64::consts::FRAC_2_SQRT_PI;
    if x < 2.5 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return 1.0 - scale * sum;
    }
    let fraction = (1..=120).rev().fold(x, |below, n| x + 0.5 * f64::from(n) / below);
    0.5 * scale * (-x * x).exp() / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_agrees_with_its_table() {
        for (x, expected) in [
            (0.5, 0.479_500_122_186_953_5),
            (2.4, 0.000_688_513_896_645_077_1),
            (2.6, 0.000_236_034_416_529_347_9),
            (-1.0, 1.842_700_792_949_714_8),
        ] {
            assert!((erfc(x) - expected).abs() < 1e-13 * (1.0 + expected), "erfc({x})");
        }
    }

    #[test]
    fn a_gradient_is_the_slope_of_small_steps() {
        let slope = |x: f64| {
            let mut tape = Tape::default();
            let a = tape.leaf(x);
            let s = tape.sigmoid(a);
            let g = tape.gelu(s);
            let y = tape.mul(g, a);
            (tape.value(y), tape.gradient(y).by(&[a])[0])
        };

        let by_steps = (slope(0.7 + 1e-6).0 - slope(0.7 - 1e-6).0) / 2e-6;

        assert!((slope(0.7).1 - by_steps).abs() < 1e-9);
    }
}
