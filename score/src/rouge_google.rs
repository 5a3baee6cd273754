//! ROUGE-L as the package `rouge-score` computes it: sentence level, letters and digits of ASCII.

/// Computes the F-measure of the longest common subsequence of words.
pub(crate) fn rouge_l_google(prediction: &str, answer: &str) -> f64 {
    let (prediction, answer) = (prediction.to_lowercase(), answer.to_lowercase());
    let (y, x) = (words(&prediction), words(&answer));
    if x.is_empty() || y.is_empty() {
        return 0.0;
    }
    let common = common_length(&x, &y) as f64;
    let (precision, recall) = (common / y.len() as f64, common / x.len() as f64);
    if common == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}

fn words(text: &str) -> Vec<&str> {
    text.split(|char: char| !(char.is_ascii_lowercase() || char.is_ascii_digit()))
        .filter(|word| !word.is_empty())
        .collect()
}

fn common_length(x: &[&str], y: &[&str]) -> usize {
    let mut row = vec![0; y.len() + 1];
    for x in x {
        let mut corner = 0;
        for (j, y) in y.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { corner + 1 } else { above.max(row[j]) };
            corner = above;
        }
    }
    row[y.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_characters_separate_words() {
        let cases = [
            ("naïve café — “quoted”", "naive cafe quoted", 0.285_714),
            ("he gave her the ring", "He gave a Ring to her.", 0.545_455),
            ("—", "—", 0.0),
        ];

        for (prediction, answer, expected) in cases {
            assert!((rouge_l_google(prediction, answer) - expected).abs() < 1e-6, "{prediction}");
        }
    }
}
