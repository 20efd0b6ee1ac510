using System.Globalization;
using System.Security.Cryptography;
using Npgsql;

namespace NeoCommons.EfCore.Testing;

/// <summary>A PostgreSQL server of our own: a copy of the template, on a free port of the loopback interface.</summary>
internal sealed class LocalCluster : IAsyncDisposable
{
    private const int PortAttempts = 5;
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _gate = new(1);
    private readonly InstanceDirectory _directory;
    private readonly ServerUser? _user;
    private readonly PostgresBinaries _binaries;
    private readonly IReadOnlyList<string> _arguments;
    private readonly TimeSpan _startTimeout;
    private ServerProcess? _process;
    private bool _disposed;

    private LocalCluster(
        InstanceDirectory directory,
        ServerUser? user,
        PostgresBinaries binaries,
        PostgresServerOptions options
    )
    {
        _directory = directory;
        _user = user;
        _binaries = binaries;
        _arguments = [.. options.ServerArguments()];
        _startTimeout = options.StartTimeout;
        Connection = new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Database = "postgres",
            Username = options.Username,
            SslMode = SslMode.Disable,
            GssEncryptionMode = GssEncryptionMode.Disable,
        };
    }

    public NpgsqlConnectionStringBuilder Connection { get; }

    public string DataDirectory => _directory.Combine("data");

    public static async Task<LocalCluster> CreateAsync(
        PostgresBinaries binaries,
        PostgresServerOptions options,
        CancellationToken ct
    )
    {
        var user = ServerUser.ForCurrentProcess();
        var template = await ClusterTemplate.GetAsync(binaries, options.Username, user).ConfigureAwait(false);
        var cluster = new LocalCluster(InstanceDirectory.Create(user), user, binaries, options);
        try
        {
            await template.CopyToAsync(cluster.DataDirectory, user, ct).ConfigureAwait(false);
            cluster.Connection.Password = template.Password;
            await cluster.StartOnAnyPortAsync(ct).ConfigureAwait(false);
            await cluster.ChangePasswordAsync(options.Password, ct).ConfigureAwait(false);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async Task StartAgainAsync(CancellationToken ct)
    {
        await _gate.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_process is null or { HasExited: true } && !await TryStartAsync(ct).ConfigureAwait(false))
            {
                throw Failed($"did not start again: somebody else took its port {Connection.Port}");
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task StopAsync(bool immediate, CancellationToken ct)
    {
        await _gate.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            if (_process is not null)
            {
                await _process.StopAsync(immediate ? Posix.SigQuit : Posix.SigInt, s_stopTimeout).ConfigureAwait(false);
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(immediate: true, CancellationToken.None).ConfigureAwait(false);
        _disposed = true;
        _directory.Dispose();
    }

    private async Task StartOnAnyPortAsync(CancellationToken ct)
    {
        for (var attempt = 0; attempt < PortAttempts; attempt++)
        {
            Connection.Port = Ports.Pick();
            if (await TryStartAsync(ct).ConfigureAwait(false))
            {
                return;
            }
        }

        throw Failed($"found its port taken {PortAttempts} times");
    }

    /// <summary>Starts it on the current port and waits until it answers; false when the port is taken.</summary>
    private async Task<bool> TryStartAsync(CancellationToken ct)
    {
        File.Delete(_directory.LogFile);
        _process = await ServerProcess
            .StartAsync(
                _directory,
                _user,
                "QUIT",
                [
                    _binaries.Postgres,
                    "-D",
                    DataDirectory,
                    "-p",
                    Connection.Port.ToString(CultureInfo.InvariantCulture),
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    "unix_socket_directories=",
                    .. _arguments,
                ]
            )
            .ConfigureAwait(false);

        using var deadline = new CancellationTokenSource(_startTimeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, ct);
        try
        {
            while (!IsReady())
            {
                if (_process.HasExited)
                {
                    return _directory.ReadLog().Contains("could not bind", StringComparison.Ordinal)
                        ? false
                        : throw Failed("ended while it was starting");
                }

                await Task.Delay(s_poll, TimeProvider.System, either.Token).ConfigureAwait(false);
            }

            return true;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            await _process.StopAsync(Posix.SigQuit, s_stopTimeout).ConfigureAwait(false);
            throw Failed($"did not answer within {_startTimeout}");
        }
    }

    /// <summary>
    /// What pg_ctl waits for: the server's own file names its process and, in the eighth line, its state. Connecting
    /// would not do, the port may belong to somebody else.
    /// </summary>
    private bool IsReady()
    {
        try
        {
            var lines = File.ReadAllLines(Path.Combine(DataDirectory, "postmaster.pid"));
            return lines.Length >= 8
                && lines[0] == _process!.Id.ToString(CultureInfo.InvariantCulture)
                && lines[7].Trim() == "ready";
        }
        catch (IOException)
        {
            return false;
        }
    }

    private async Task ChangePasswordAsync(string? password, CancellationToken ct)
    {
        password ??= RandomNumberGenerator.GetHexString(32, lowercase: true);
        var connection = new NpgsqlConnection(Connection.ConnectionString + ";Pooling=false");
        await using (connection.ConfigureAwait(false))
        {
            await connection.OpenAsync(ct).ConfigureAwait(false);
            var command = new NpgsqlCommand(
                $"ALTER ROLE CURRENT_USER PASSWORD '{password.Replace("'", "''", StringComparison.Ordinal)}'",
                connection
            );
            await using (command.ConfigureAwait(false))
            {
                await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
            }
        }

        Connection.Password = password;
    }

    private ServerStartException Failed(string what) =>
        new($"PostgreSQL ({_binaries.Postgres}) {what}.", _directory.ReadLog());
}
