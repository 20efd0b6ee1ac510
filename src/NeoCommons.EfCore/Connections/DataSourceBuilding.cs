using System.Net;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Turns a registered row into connection settings: the one place where data from outside meets the driver.</summary>
/// <remarks>
/// Only properties of <see cref="NpgsqlConnectionStringBuilder"/> are set, so no value of a row can become another
/// keyword. A comma in a host is a list of hosts and a slash a socket path for the driver, hence the host's rule.
/// </remarks>
internal static class DataSourceBuilding
{
    private const int LargestPool = 10_000;
    private const int LongestHost = 253;

    private static readonly IPAddress MetadataOverIPv6 = IPAddress.Parse("fd00:ec2::254");

    public static NpgsqlDataSource Build(
        DatabaseConnection row,
        Func<string> password,
        ConnectionOptions options,
        ILoggerFactory loggers,
        bool pooled,
        bool ownsReset = false
    )
    {
        var faults = FindFaults(row).ToList();
        if (faults.Count > 0)
        {
            throw new ConnectionUnavailableException(
                row.Name,
                ConnectionUnavailableReason.InvalidConfiguration,
                $"Connection '{row.Name}' cannot be used: {string.Join("; ", faults)}. Correct its row in admin.database_connections."
            );
        }

        var builder = new NpgsqlDataSourceBuilder(Settings(row, options, pooled, ownsReset).ConnectionString)
        {
            Name = row.Name,
        };
        builder.UseLoggerFactory(loggers);
        builder.UsePasswordProvider(_ => password(), (_, _) => new ValueTask<string>(password()));
        builder.ConfigureTypeLoading(types =>
        {
            types.EnableTableCompositesLoading(false);
            if (pooled)
            {
                types.SetTypeLoadingSchemas([
                    .. new[] { "pg_catalog" }.Union(options.TypeSchemas).Union(options.AllSharedSchemas),
                ]);
            }
            else
            {
                types.EnableTypeLoading(false);
            }
        });
        Configure(builder, row, options);
        return builder.Build();
    }

    private static void Configure(NpgsqlDataSourceBuilder builder, DatabaseConnection row, ConnectionOptions options)
    {
        var settings = builder.ConnectionStringBuilder.ConnectionString;
        foreach (var configure in options.DataSourceConfigurations)
        {
            configure(builder);
        }

        if (builder.ConnectionStringBuilder.ConnectionString != settings || builder.Name != row.Name)
        {
            throw new ConnectionUnavailableException(
                row.Name,
                ConnectionUnavailableReason.InvalidConfiguration,
                $"Connection '{row.Name}' cannot be used: ConfigureDataSources changed its connection string or name, which "
                    + "come from the registry. Configure types, plugins and tracing there, and nothing else."
            );
        }
    }

    public static IEnumerable<string> FindFaults(DatabaseConnection row)
    {
        if (
            Uri.CheckHostName(row.Host) is UriHostNameType.Unknown or UriHostNameType.Basic
            || row.Host.Length > LongestHost
        )
        {
            yield return "its host must be one host name or IP address, with no list, socket path, port or space";
        }
        else if (IPAddress.TryParse(row.Host, out var address) && IsUnroutable(address))
        {
            yield return $"its host {row.Host} is an unspecified, link-local, multicast, broadcast or metadata address, where no database is";
        }

        if (row.Port is < IPEndPoint.MinPort + 1 or > IPEndPoint.MaxPort)
        {
            yield return $"its port {row.Port} is not between 1 and {IPEndPoint.MaxPort}";
        }

        foreach (var (what, value) in new[] { ("database name", row.Database), ("user name", row.Username) })
        {
            if (string.IsNullOrEmpty(value) || value.Contains('\0', StringComparison.Ordinal))
            {
                yield return $"its {what} is empty or holds a NUL character";
            }
        }

        if (
            row.MinPoolSize < 0
            || row.MaxPoolSize < 1
            || row.MinPoolSize > row.MaxPoolSize
            || row.MaxPoolSize > LargestPool
        )
        {
            yield return $"its pool size {row.MinPoolSize} to {row.MaxPoolSize} must lie in 0 to {LargestPool}, with a maximum of at least 1 and not under the minimum";
        }

        if (row.PoolTimeout < TimeSpan.FromSeconds(1) || row.PoolTimeout.TotalSeconds > 1024)
        {
            yield return $"its pool timeout of {row.PoolTimeout.TotalSeconds:0.###} s is not between 1 and 1024 seconds";
        }

        if (row.PoolRecycle < TimeSpan.Zero || row.PoolRecycle.TotalSeconds > int.MaxValue)
        {
            yield return $"its recycle time of {row.PoolRecycle.TotalSeconds:0.###} s is negative or too long";
        }

        if (row.Password.Fault is null && row.Password.Reveal().Contains('\0', StringComparison.Ordinal))
        {
            yield return "its password holds a NUL character";
        }
    }

    private static NpgsqlConnectionStringBuilder Settings(
        DatabaseConnection row,
        ConnectionOptions options,
        bool pooled,
        bool ownsReset
    )
    {
        var settings = new NpgsqlConnectionStringBuilder
        {
            Host = row.Host,
            Port = row.Port,
            Database = row.Database,
            Username = row.Username,
            SslMode = row.SslMode,
            // Kerberos is for logins without a password, and ours have one. The driver's Prefer makes each failed handshake
            // two: a wrong password counts twice, and a synchronous open that has timed out may read on without a timeout
            // (under a millisecond is left, which becomes 0; Npgsql 10.0.3, NpgsqlReadBuffer.Timeout).
            GssEncryptionMode = GssEncryptionMode.Disable,
            ApplicationName = options.ApplicationName,
            // A pooler refuses the parameter; PoolerProbe makes sure that the role's own path leads nowhere too.
            SearchPath = row.Pooler == PoolerMode.None ? SchemaName.Unbound : null,
            Timeout = (int)row.PoolTimeout.TotalSeconds,
            Pooling = pooled,
            // What an unpooled session does, a migration for one, is never part of the caller's transaction.
            // Nor is a session whose reset is ours, which no transaction that has begun can take: ConnectionOpening refuses.
            Enlist = pooled && !ownsReset,
            PersistSecurityInfo = false,
            // A statement without a timeout, a migration's for one, must notice that its server is gone.
            TcpKeepAlive = true,
            TcpKeepAliveTime = 30,
            TcpKeepAliveInterval = 10,
        };
        if (pooled)
        {
            settings.NoResetOnClose = ownsReset || row.Pooler == PoolerMode.Transaction;
            settings.MaxAutoPrepare = row.Pooler == PoolerMode.Transaction ? 0 : options.MaxPreparedStatements;
            settings.MinPoolSize = row.MinPoolSize;
            settings.MaxPoolSize = row.MaxPoolSize;
            settings.ConnectionLifetime = (int)row.PoolRecycle.TotalSeconds;
            settings.ConnectionIdleLifetime = (int)options.IdleLifetime.TotalSeconds;
            settings.ConnectionPruningInterval = (int)options.PruningInterval.TotalSeconds;
        }

        if (row.SslMode is not (SslMode.VerifyCA or SslMode.VerifyFull))
        {
            settings.RequireAuth = options.RequireAuth;
        }

        return settings;
    }

    // 169.254.0.0/16 and fe80::/10 hold the metadata services of clouds, with one exception.
    private static bool IsUnroutable(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            address = address.MapToIPv4();
        }

        if (
            address.IsIPv6LinkLocal
            || address.IsIPv6Multicast
            || address.Equals(IPAddress.IPv6Any)
            || address.Equals(MetadataOverIPv6)
        )
        {
            return true;
        }

        var bytes = address.GetAddressBytes();
        return bytes.Length == 4 && (bytes[0] is 0 or >= 224 || (bytes[0] == 169 && bytes[1] == 254));
    }
}
