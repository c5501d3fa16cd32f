/** Ranks and cluster letters of summary sentences. */

/** Cluster 0 is "A", 25 "Z", 26 "AA". */
export function clusterLetter(cluster) {
  let letters = "";
  for (let rest = cluster; rest >= 0; rest = Math.floor(rest / 26) - 1) {
    letters = String.fromCharCode(65 + (rest % 26)) + letters;
  }
  return letters;
}

/** Rank of each selected sentence by its index: 1 is the highest score; equal scores rank in reading order. */
export function rankSelected(sentences) {
  const chosen = sentences.filter((sentence) => sentence.selected);
  chosen.sort((a, b) => b.score - a.score || a.index - b.index);
  return new Map(chosen.map((sentence, position) => [sentence.index, position + 1]));
}
