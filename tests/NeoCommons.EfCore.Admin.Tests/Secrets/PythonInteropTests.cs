using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace NeoCommons.EfCore.Admin.Tests.Secrets;

/// <summary>Tokens go both ways between this library and Python's <c>cryptography</c>.</summary>
public class PythonInteropTests
{
    private const string Key = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    private const string RawKey = "0123456789abcdef-is-a-raw-key-32";

    private static readonly string[] Secrets =
    [
        "",
        "x",
        "hunter2",
        "fifteen bytes..",
        "sixteen bytes...",
        "pässwörd",
        "密码🔑",
        "e\u0301 and é",
        "\u202Eright to left",
        "' \" \\ ; % = & # @ / ? \t \n",
        "\0",
        new string('ß', 500),
    ];

    private const string Row =
        "{'host': 'db.example.com', 'port': 5432, 'database_name': 'dåtabase', 'username': 'app', 'encrypted_password': t}";

    private static readonly SecretTarget Target = new("db.example.com", 5432, "dåtabase", "app");

    [Theory]
    [InlineData(Key, Key)]
    [InlineData(RawKey, "MDEyMzQ1Njc4OWFiY2RlZi1pcy1hLXJhdy1rZXktMzI=")]
    public async Task What_python_wrote_is_read_as_a_password_alone(string key, string pythonKey)
    {
        var tokens = await RunAsync(
            "print(json.dumps([f.encrypt(s.encode()).decode() for s in given['texts']]))",
            pythonKey,
            Secrets
        );

        var read = tokens.Select(t => Make(key).Read(t, Target)).ToList();
        Assert.All(read, r => Assert.Equal(StoredSecretState.Unbound, r.State));
        Assert.Equal(Secrets, read.Select(r => r.Text));
    }

    [Fact]
    public async Task What_python_wrote_with_the_lines_of_the_documentation_is_bound()
    {
        var tokens = await RunAsync(
            Documented() + $"t = None; print(json.dumps([write_password(f, {Row}, s) for s in given['texts']]))",
            Key,
            Secrets
        );

        var read = tokens.Select(t => Make(Key).Read(t, Target)).ToList();
        Assert.All(read, r => Assert.Equal(StoredSecretState.Bound, r.State));
        Assert.Equal(Secrets, read.Select(r => r.Text));
        Assert.Equal(StoredSecretState.BoundElsewhere, Make(Key).Read(tokens[0], Target with { Port = 5433 }).State);
    }

    [Theory]
    [InlineData(Key, Key)]
    [InlineData(RawKey, "MDEyMzQ1Njc4OWFiY2RlZi1pcy1hLXJhdy1rZXktMzI=")]
    public async Task What_is_written_python_reads_with_the_lines_of_the_documentation(string key, string pythonKey)
    {
        var secrets = Make(key);
        var read = await RunAsync(
            Documented() + $"print(json.dumps([read_password(f, {Row}) for t in given['texts']]))",
            pythonKey,
            [.. Secrets.Select(s => secrets.Protect(s, Target))]
        );

        Assert.Equal(Secrets, read);
    }

    [Fact]
    public async Task The_lines_of_the_documentation_refuse_another_row_and_read_a_password_alone()
    {
        var elsewhere = Make(Key).Protect("x", Target with { Username = "postgres" });
        var newer = Fernet.Encrypt(FernetKeys.Parse(Key).Primary, [0xFF, 2, 3], DateTimeOffset.UtcNow);
        var alone = Fernet.Encrypt(FernetKeys.Parse(Key).Primary, "plain"u8, DateTimeOffset.UtcNow);

        var read = await RunAsync(
            Documented()
                + "def told(t):\n    try:\n        return read_password(f, "
                + Row
                + ")\n    except ValueError as e:\n        return str(e)\n"
                + "print(json.dumps([told(t) for t in given['texts']]))",
            Key,
            [elsewhere, newer, alone]
        );

        Assert.Equal(["written for another host, port, database or user", "written by a newer version", "plain"], read);
    }

    [Fact]
    public async Task A_reader_that_does_not_know_the_form_fails_and_takes_no_part_of_it_for_a_password()
    {
        var read = await RunAsync(
            "def told(t):\n    try:\n        return f.decrypt(t.encode()).decode()\n    except UnicodeDecodeError:\n        return 'no text'\n"
                + "print(json.dumps([told(t) for t in given['texts']]))",
            Key,
            [.. Secrets.Select(s => Make(Key).Protect(s, Target))]
        );

        Assert.All(read, text => Assert.Equal("no text", text));
    }

    [Fact]
    public async Task A_key_that_python_made_is_a_key()
    {
        var made = await RunAsync("print(json.dumps([Fernet.generate_key().decode() for _ in range(100)]))", Key, []);

        Assert.Equal(100, FernetKeys.Parse(string.Join(',', made)).All.Count);
    }

    [Fact]
    public async Task Keys_whose_last_character_has_stray_bits_are_the_keys_that_python_takes_them_for()
    {
        // '4' and '5' to '7' differ only in bits that 32 bytes do not use.
        var secrets = Make(Key);
        foreach (var last in "567")
        {
            var token = await RunAsync("print(json.dumps([f.encrypt(b'x').decode()]))", Key[..^2] + last + '=', []);
            Assert.Equal("x", secrets.Read(Assert.Single(token), Target).Text);
            Assert.Equal("x", Make(Key[..^2] + last + '=').Read(secrets.Protect("x", Target), Target).Text);
        }
    }

    [Fact]
    public async Task A_rotation_list_is_pythons_multifernet()
    {
        const string old = "bm90LXRoZS1zYW1lLWtleS1hcy10aGUtZmlyc3Qtb24=";
        var written = Make(old).Protect("密码", Target);
        var rotated = await RunAsync(
            $"from cryptography.fernet import MultiFernet; m = MultiFernet([f, Fernet('{old}')]); "
                + "print(json.dumps([m.rotate(t.encode()).decode() for t in given['texts']]))",
            Key,
            [written]
        );

        Assert.Equal("密码", Make($"{Key},{old}").Read(Assert.Single(rotated), Target).Text);
        Assert.Equal("密码", Make(Key).Read(Assert.Single(rotated), Target).Text);
    }

    private static FernetSecrets Make(string keys) => new(FernetKeys.Parse(keys), TimeProvider.System);

    /// <summary>The code that docs/secrets.md shows.</summary>
    private static string Documented([CallerFilePath] string here = "")
    {
        var page = File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "..", "docs", "secrets.md"));
        return page.Split("```python\n")[1].Split("```")[0];
    }

    private static async Task<string[]> RunAsync(string code, string key, string[] texts)
    {
        const string prelude =
            "import json, sys\n"
            + "from cryptography.fernet import Fernet\n"
            + "given = json.loads(sys.stdin.buffer.read())\n"
            + "f = Fernet(given['key'])\n";
        var input = JsonSerializer.Serialize(new { key, texts });
        var failures = new StringBuilder();
        foreach (var python in new[] { "/usr/bin/python3", "python3" })
        {
            if (Path.IsPathRooted(python) && !File.Exists(python))
            {
                continue;
            }

            var start = new ProcessStartInfo(python, ["-c", prelude + code])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                StandardInputEncoding = new UTF8Encoding(false),
                StandardOutputEncoding = Encoding.UTF8,
            };
            try
            {
                using var process = Process.Start(start)!;
                var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
                var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
                try
                {
                    await process.StandardInput.WriteAsync(input);
                    process.StandardInput.Close();
                }
                catch (IOException)
                {
                    // It ended without reading; its errors say why.
                }

                await process.WaitForExitAsync(TestContext.Current.CancellationToken);
                if (process.ExitCode == 0)
                {
                    return JsonSerializer.Deserialize<string[]>(await output)!;
                }

                failures.AppendLine($"{python}: {await errors}");
            }
            catch (System.ComponentModel.Win32Exception missing)
            {
                failures.AppendLine($"{python}: {missing.Message}");
            }
        }

        Assert.Fail(
            "No python3 with the module 'cryptography' ran the script. Install it: apt-get install python3-cryptography, "
                + $"or python3 -m pip install cryptography.\n{failures}"
        );
        return [];
    }
}
