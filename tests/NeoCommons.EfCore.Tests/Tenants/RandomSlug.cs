namespace NeoCommons.EfCore.Tests.Tenants;

internal static class RandomSlug
{
    /// <summary>A text of 1 to 41 characters of the alphabet: mostly a slug.</summary>
    internal static string Next(Random random, string alphabet) =>
        string.Create(
            random.Next(1, 42),
            (random, alphabet),
            static (text, from) => from.random.GetItems(from.alphabet, text)
        );
}
