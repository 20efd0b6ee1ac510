using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>A secret that is looked for, whatever it was turned into on the way out.</summary>
internal sealed class Canary
{
    private readonly Dictionary<string, string> _forms = new(StringComparer.Ordinal);
    private SearchValues<string>? _any;

    private Canary(string name, string text)
    {
        Name = name;
        Text = text;
    }

    public string Name { get; }

    public string Text { get; }

    /// <summary>How each form is called, and the text that gives it away.</summary>
    public IReadOnlyDictionary<string, string> Forms => _forms;

    /// <summary>A password with all that is quoted somewhere, around a core that no quoting changes.</summary>
    public static Canary Password(string name)
    {
        var core =
            "Cnry" + RandomNumberGenerator.GetString("abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789", 14);
        var canary = new Canary(name, $"p;'\"{core}%=\\/+@ü");
        canary.AddForms("core", core);
        canary.AddForms("whole", canary.Text);
        canary._forms["url"] = Uri.EscapeDataString(canary.Text);
        canary._forms["connection string"] = new NpgsqlConnectionStringBuilder
        {
            Password = canary.Text,
        }.ConnectionString;
        return canary;
    }

    /// <summary>A Fernet key.</summary>
    public static Canary Key(string name)
    {
        var key = TestApp.NewKey();
        var canary = new Canary(name, key);
        var bytes = Convert.FromBase64String(key.Replace('-', '+').Replace('_', '/'));
        canary.AddForms("text", key[..^1]);
        canary.AddForms("bytes", bytes);
        canary.AddForms("signing half", bytes[..16]);
        canary.AddForms("encrypting half", bytes[16..]);
        return canary;
    }

    /// <summary>A token: no secret by itself, and nobody's business either.</summary>
    public static Canary Token(string name, string token)
    {
        var canary = new Canary(name, token);
        canary._forms["text"] = token;
        return canary;
    }

    /// <summary>The forms that a text holds.</summary>
    public IEnumerable<string> FindIn(string text)
    {
        // All forms at once, which is quick, and which of them it is only where there is one.
        _any ??= SearchValues.Create([.. _forms.Values], StringComparison.OrdinalIgnoreCase);
        return text.AsSpan().ContainsAny(_any)
            ? _forms.Where(f => text.Contains(f.Value, StringComparison.OrdinalIgnoreCase)).Select(f => f.Key)
            : [];
    }

    private void AddForms(string name, string text)
    {
        _forms[name] = text;
        AddForms(name, Encoding.UTF8.GetBytes(text));
        _forms[name + ", UTF-16"] = Middle(Convert.ToBase64String(Encoding.Unicode.GetBytes(text)), 0);
    }

    private void AddForms(string name, byte[] bytes)
    {
        _forms[name + ", hex"] = Convert.ToHexString(bytes);
        _forms[name + ", bytes in decimal"] = string.Join(", ", bytes);
        for (var before = 0; before < 3; before++)
        {
            // As a part of something longer: its first and last characters depend on what is beside it.
            var base64 = Middle(Convert.ToBase64String([.. new byte[before], .. bytes]), before);
            _forms[$"{name}, base64 {before}"] = base64;
            _forms[$"{name}, base64url {before}"] = base64.Replace('+', '-').Replace('/', '_');
        }
    }

    private static string Middle(string base64, int before) => base64.TrimEnd('=')[(before == 0 ? 0 : before + 1)..^2];
}
