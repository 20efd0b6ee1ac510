using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Enumerations as the words that stand in the columns.</summary>
internal static class ColumnText
{
    public static ValueConverter<TEnum, string> Of<TEnum>(Func<TEnum, string> word)
        where TEnum : struct, Enum
    {
        var words = Enum.GetValues<TEnum>().ToDictionary(v => v, word);
        var values = words.ToDictionary(w => w.Value, w => w.Key, StringComparer.Ordinal);
        return new ValueConverter<TEnum, string>(value => words[value], text => values[text]);
    }

    /// <summary>The driver's list of authentication methods in the words of PostgreSQL's own programs.</summary>
    public static string LibpqRequireAuth(string methods) =>
        string.Join(
            ',',
            methods
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Select(m => m.ToLowerInvariant().Replace("scramsha256", "scram-sha-256", StringComparison.Ordinal))
        );

    public static string LibpqSslMode(SslMode mode) =>
        mode switch
        {
            SslMode.VerifyCA => "verify-ca",
            SslMode.VerifyFull => "verify-full",
            _ => mode.ToString().ToLowerInvariant(),
        };
}
