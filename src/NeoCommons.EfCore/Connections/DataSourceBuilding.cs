using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Turns a registered row into connection settings: the one place where data from outside meets the driver.</summary>
/// <remarks>
/// Only properties of <see cref="NpgsqlConnectionStringBuilder"/> are set, so no value of a row can become another
/// keyword; <see cref="RowValidation"/> refuses those that the driver would take for something else.
/// </remarks>
internal static class DataSourceBuilding
{
    public static NpgsqlDataSource Build(
        DatabaseConnection row,
        PasswordProvider password,
        ConnectionOptions options,
        ILoggerFactory loggers,
        DataSourceUse use,
        bool ownsReset = false
    ) => Prepare(row, Settings(row, options, use, ownsReset), password, use, options, loggers).Build();

    /// <summary>A data source beside the pool, of one of a row's servers.</summary>
    public static NpgsqlDataSource BuildAt(
        HostAddress address,
        DatabaseConnection row,
        PasswordProvider password,
        ConnectionOptions options,
        ILoggerFactory loggers,
        TimeSpan timeout
    )
    {
        var settings = Settings(row, options, DataSourceUse.Beside, ownsReset: false);
        (settings.Host, settings.Port) = (address.Host, address.Port);

        // Who uses it gives up as soon; the driver would hold a thread for the request that cancels a question.
        settings.Timeout = Math.Clamp((int)Math.Ceiling(timeout.TotalSeconds), 1, settings.Timeout);
        return Prepare(row, settings, password, DataSourceUse.Beside, options, loggers).Build();
    }

    /// <summary>The data source of all servers of a row.</summary>
    public static NpgsqlMultiHostDataSource BuildMultiHost(
        DatabaseConnection row,
        HostSettings hosts,
        PasswordProvider password,
        ConnectionOptions options,
        ILoggerFactory loggers,
        DataSourceUse use,
        bool ownsReset
    )
    {
        var settings = Settings(row, options, use, ownsReset);
        hosts.ApplyTo(settings);
        var builder = Prepare(row, settings, password, use, options, loggers);
        hosts.ApplyTo(builder);
        return builder.BuildMultiHost();
    }

    /// <exception cref="ConnectionUnavailableException">The row holds what cannot be used.</exception>
    public static void ThrowIfFaulty(DatabaseConnection row, ConnectionOptions options)
    {
        var faults = RowValidation.FindFaults(row, options);
        if (faults.Count > 0)
        {
            throw new ConnectionUnavailableException(
                row.Name,
                ConnectionUnavailableReason.InvalidConfiguration,
                $"Connection '{row.Name}' cannot be used: {RowFault.Join(faults)}. Correct its row in admin.database_connections."
            );
        }
    }

    private static NpgsqlDataSourceBuilder Prepare(
        DatabaseConnection row,
        NpgsqlConnectionStringBuilder settings,
        PasswordProvider password,
        DataSourceUse use,
        ConnectionOptions options,
        ILoggerFactory loggers
    )
    {
        LeaveOutDefaults(settings);
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString) { Name = row.Name };
        builder.UseLoggerFactory(loggers);
        builder.UsePasswordProvider(
            // Not async: the task has completed, and its exception is rethrown.
            host => password(HostAddress.Of(host), false, CancellationToken.None).AsTask().GetAwaiter().GetResult(),
            (host, ct) => password(HostAddress.Of(host), true, ct)
        );
        builder.ConfigureTypeLoading(types =>
        {
            types.EnableTableCompositesLoading(false);
            if (use != DataSourceUse.Beside)
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
        builder.ConfigureTracing(CommandSpans.Configure);
        Configure(builder, row, options);
        return builder;
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

    private static NpgsqlConnectionStringBuilder Settings(
        DatabaseConnection row,
        ConnectionOptions options,
        DataSourceUse use,
        bool ownsReset
    )
    {
        ThrowIfFaulty(row, options);
        var settings = new NpgsqlConnectionStringBuilder
        {
            // What a session beside the pool does, a migration for one, is never part of the caller's transaction.
            // Nor is a session whose reset is ours, which no transaction that has begun can take: ConnectionOpening refuses.
            // It comes first: the provider's own connection, which contexts of shared tables have, looks for it at each command.
            Enlist = use != DataSourceUse.Beside && !ownsReset,
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
            Pooling = use == DataSourceUse.Pool,
            PersistSecurityInfo = false,
            // A statement without a timeout, a migration's for one, must notice that its server is gone.
            TcpKeepAlive = true,
            TcpKeepAliveTime = 30,
            TcpKeepAliveInterval = 10,
        };
        if (use == DataSourceUse.Pool)
        {
            settings.NoResetOnClose = ownsReset || row.Pooler == PoolerMode.Transaction;
            settings.MaxAutoPrepare = row.Pooler == PoolerMode.Transaction ? 0 : options.MaxPreparedStatements;
            settings.AutoPrepareMinUsages = options.PrepareAfterUses;
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

    // The shorter it is, the less there is to read where the provider's own connection looks for Enlist=False and there is none.
    private static void LeaveOutDefaults(NpgsqlConnectionStringBuilder settings)
    {
        var defaults = new NpgsqlConnectionStringBuilder();
        foreach (var keyword in settings.Keys)
        {
            // Numbers and switches: the environment may stand in for a text or a mode that is left out.
            if (settings[keyword] is int or bool && settings[keyword].Equals(defaults[keyword]))
            {
                settings.Remove(keyword);
            }
        }
    }
}
