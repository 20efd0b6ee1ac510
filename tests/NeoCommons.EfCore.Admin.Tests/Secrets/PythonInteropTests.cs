using System.Diagnostics;
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

    [Theory]
    [InlineData(Key, Key)]
    [InlineData(RawKey, "MDEyMzQ1Njc4OWFiY2RlZi1pcy1hLXJhdy1rZXktMzI=")]
    public async Task What_python_wrote_is_read(string key, string pythonKey)
    {
        var protector = Make(key);
        var tokens = await RunAsync(
            "print(json.dumps([f.encrypt(s.encode()).decode() for s in given['texts']]))",
            pythonKey,
            Secrets
        );

        Assert.Equal(Secrets, tokens.Select(protector.Unprotect));
    }

    [Theory]
    [InlineData(Key, Key)]
    [InlineData(RawKey, "MDEyMzQ1Njc4OWFiY2RlZi1pcy1hLXJhdy1rZXktMzI=")]
    public async Task What_is_written_python_reads(string key, string pythonKey)
    {
        var protector = Make(key);
        var read = await RunAsync(
            "print(json.dumps([f.decrypt(t.encode(), ttl=300).decode() for t in given['texts']]))",
            pythonKey,
            [.. Secrets.Select(protector.Protect)]
        );

        Assert.Equal(Secrets, read);
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
        var protector = Make(Key);
        foreach (var last in "567")
        {
            var token = await RunAsync("print(json.dumps([f.encrypt(b'x').decode()]))", Key[..^2] + last + '=', []);
            Assert.Equal("x", protector.Unprotect(Assert.Single(token)));
            Assert.Equal("x", Make(Key[..^2] + last + '=').Unprotect(protector.Protect("x")));
        }
    }

    [Fact]
    public async Task A_rotation_list_is_pythons_multifernet()
    {
        const string old = "bm90LXRoZS1zYW1lLWtleS1hcy10aGUtZmlyc3Qtb24=";
        var written = Make(old).Protect("密码");
        var rotated = await RunAsync(
            $"from cryptography.fernet import MultiFernet; m = MultiFernet([f, Fernet('{old}')]); "
                + "print(json.dumps([m.rotate(t.encode()).decode() for t in given['texts']]))",
            Key,
            [written]
        );

        Assert.Equal("密码", Make($"{Key},{old}").Unprotect(Assert.Single(rotated)));
        Assert.Equal("密码", Make(Key).Unprotect(Assert.Single(rotated)));
    }

    private static FernetSecretProtector Make(string keys) => new(FernetKeys.Parse(keys), TimeProvider.System);

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
